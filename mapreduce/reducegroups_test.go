package mapreduce

import (
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/codec"
)

// encodedGroups gives each of keys all of values. As in a merge, there is one
// stream: what a group does not read would be found by the next.
func encodedGroups(t *testing.T, keys []string, values []int) iter.Seq2[[]byte, iter.Seq[[]byte]] {
	t.Helper()
	kc, err := codec.KeyOf[string]()
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func([]byte, iter.Seq[[]byte]) bool) {
		buf := make([]byte, 0, 64) // reused, as by a merge
		for _, key := range keys {
			kb, err := kc.Append(buf[:0], key)
			if err != nil {
				t.Fatal(err)
			}
			read := 0
			more := yield(kb, func(yield func([]byte) bool) {
				for _, v := range values {
					vb, _ := codec.Append(buf[:0], v)
					read++
					if !yield(vb) {
						return
					}
				}
			})
			if !more {
				return
			}
			if read != len(values) {
				t.Errorf("key %q: %d values were passed over, want %d", key, read, len(values))
			}
		}
	}
}

func TestAReduceThatStopsEarlyLeavesTheNextGroupInPlace(t *testing.T) {
	for _, most := range []int{0, 1, 2, 3, 9} {
		k := keyedOf(t, Of(job[string, string, int, int]{words, func(_ context.Context, _ string, values iter.Seq[int]) (n int, err error) {
			if most == 0 {
				return 0, nil
			}
			for range values {
				if n++; n == most {
					break
				}
			}
			return n, nil
		}}))
		var got []string
		err := k.ReduceGroups(t.Context(), &Task{}, encodedGroups(t, []string{"a", "b", "c"}, []int{1, 2, 3}), func(key, value []byte) (err error) {
			line, err := k.AppendText(nil, TSV, key, value)
			got = append(got, string(line))
			return err
		})
		n := min(most, 3)
		want := []string{fmt.Sprintf("a\t%d\n", n), fmt.Sprintf("b\t%d\n", n), fmt.Sprintf("c\t%d\n", n)}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("stop after %d: got %q and %v, want %q", most, got, err, want)
		}
	}
}

func TestValuesAreRangedOverOnce(t *testing.T) {
	k := keyedOf(t, Of(job[string, string, int, int]{words, func(ctx context.Context, key string, values iter.Seq[int]) (int, error) {
		sum(ctx, key, values)
		return sum(ctx, key, values)
	}}))
	err := k.ReduceGroups(t.Context(), &Task{}, encodedGroups(t, []string{"a"}, []int{1}), ignore)
	if !IsPermanent(err) || !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), "second time") {
		t.Errorf("got %v, want a permanent error that names the key", err)
	}
}

func TestBrokenValuesFailTheReduceWhateverItReturns(t *testing.T) {
	k := keyedOf(t, Of(counting()))
	groups := func(yield func([]byte, iter.Seq[[]byte]) bool) {
		for key := range encodedGroups(t, []string{"a"}, nil) {
			yield(key, slices.Values([][]byte{{0xc1}}))
		}
	}
	if err := k.ReduceGroups(t.Context(), &Task{}, groups, ignore); err == nil || !strings.Contains(err.Error(), `reduce key "a"`) {
		t.Errorf("got %v, want one that names the key", err)
	}
}

func BenchmarkMapAndReduce(b *testing.B) {
	k := PowersOf(Of(counting())).Keyed
	path := b.TempDir() + "/f"
	line := "the quick brown fox jumps over the lazy dog\n"
	const lines = 10_000
	if err := os.WriteFile(path, []byte(strings.Repeat(line, lines)), 0o666); err != nil {
		b.Fatal(err)
	}
	payload, err := SplitPayload(Split{Ranges: []Range{{Path: path, Length: -1}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("map", func(b *testing.B) {
		b.SetBytes(int64(len(line) * lines))
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			err := k.MapShard(b.Context(), &Task{Payload: payload}, func([]byte, []byte) error { n++; return nil })
			if err != nil || n != 9*lines {
				b.Fatalf("got %d pairs and %v, want %d", n, err, 9*lines)
			}
		}
	})
	b.Run("reduce", func(b *testing.B) {
		one := [][]byte{{1}, {1}, {1}}
		key := []byte("fox")
		values := slices.Values(one)
		groups := func(yield func([]byte, iter.Seq[[]byte]) bool) {
			for range lines {
				if !yield(key, values) {
					return
				}
			}
		}
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			err := k.ReduceGroups(b.Context(), &Task{}, groups, func(_, value []byte) error { n += int(value[0]); return nil })
			if err != nil || n != 3*lines {
				b.Fatalf("got a sum of %d and %v, want %d", n, err, 3*lines)
			}
		}
	})
}
