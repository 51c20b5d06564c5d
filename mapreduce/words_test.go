package mapreduce

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"strings"
	"testing"
)

// tally is a job whose pairs are combined.
type tally[In, K, V, Out any] struct {
	job[In, K, V, Out]
	combine func(a, b V) V
}

func (c tally[In, K, V, Out]) Combine(a, b V) V { return c.combine(a, b) }

func add[V int | float64 | int8 | string](a, b V) V { return a + b }

func TestOnlyWhatIsCombinedAndFitsAWordHasWords(t *testing.T) {
	if keyedOf(t, Of(counting())).Words() != nil {
		t.Error("there are Words without a Combine")
	}
	joined := tally[string, string, string, string]{job[string, string, string, string]{
		func(context.Context, string, func(string, string)) error { return nil },
		func(context.Context, string, iter.Seq[string]) (string, error) { return "", nil },
	}, add[string]}
	if keyedOf(t, Of(joined)).Words() != nil {
		t.Error("there are Words for strings")
	}
	if keyedOf(t, Of(tally[string, string, int, int]{counting(), add[int]})).Words() == nil {
		t.Error("there are no Words for numbers that are combined")
	}
}

// The pairs are the same in words as in bytes, whatever the key is.
func TestWordsAreThePairs(t *testing.T) {
	sameInWords(t, func(s string) string { return s }, func(s string) int { return len(s) - 5 })
	sameInWords(t, func(s string) []byte { return []byte(s) }, func(s string) float64 { return float64(len(s)) / 3 })
	sameInWords(t, func(s string) int { return len(s) }, func(s string) int8 { return int8(len(s)) - 5 })
	sameInWords(t, func(s string) point { return point{len(s), s} }, func(s string) int { return len(s) })
}

func sameInWords[K any, V int | float64 | int8](t *testing.T, key func(string) K, value func(string) V) {
	t.Helper()
	k := keyedOf(t, Of(tally[string, K, V, int]{job[string, K, V, int]{
		func(_ context.Context, line string, emit func(K, V)) error {
			for word := range strings.FieldsSeq(line) {
				emit(key(word), value(word))
			}
			return nil
		},
		func(context.Context, K, iter.Seq[V]) (int, error) { return 0, nil },
	}, add[V]}))
	task := valuesTask(t, "a bb ccc", "to be or not to be", "dddddddd", "fifteen-letters sixteen--letters "+strings.Repeat("x", 2*batchBytes), strings.Repeat("again sixteen--letters ", batchWords))
	want, got := map[string][]byte{}, map[string]uint64{}
	err := k.MapShard(t.Context(), task, func(key, value []byte) (err error) {
		if had, ok := want[string(key)]; ok {
			value, err = k.Combine(nil, had, value)
		}
		want[string(key)] = bytes.Clone(value)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	words := k.Words()
	err = words.MapShard(t.Context(), task, eachWord(func(key []byte, word uint64) error {
		if had, ok := got[string(key)]; ok {
			word = words.Combine(had, word)
		}
		got[string(key)] = word
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	encoded := map[string][]byte{}
	for key, word := range got {
		encoded[key] = words.Append(nil, word)
	}
	if !maps.EqualFunc(encoded, want, bytes.Equal) {
		t.Errorf("got %x, want %x", encoded, want)
	}
}

// eachWord takes the words one by one.
func eachWord(each func(key []byte, word uint64) error) EmitWords {
	return func(keys [][16]byte, long [][]byte, words []uint64) error {
		for i, word := range words {
			key := keys[i][:]
			if n := key[15]; n <= 15 {
				key = key[:n]
			} else {
				key, long = long[0], long[1:]
			}
			if err := each(key, word); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestAWordThatIsNotTakenEndsTheMapping(t *testing.T) {
	words := keyedOf(t, Of(tally[string, string, int, int]{counting(), add[int]})).Words()
	full := errors.New("full")
	calls := 0
	err := words.MapShard(t.Context(), valuesTask(t, "a b", "c"), eachWord(func([]byte, uint64) error { calls++; return full }))
	if !errors.Is(err, full) || calls != 1 {
		t.Errorf("got %v after %d calls, want %v after one", err, calls, full)
	}
	err = words.MapShard(t.Context(), valuesTask(t, strings.Repeat("x", MaxKey+1)), eachWord(func([]byte, uint64) error { return full }))
	if !IsPermanent(err) || !strings.Contains(err.Error(), "hash of it") {
		t.Errorf("got %v, want a permanent error that says what to do", err)
	}
}

// What costs a pair an allocation costs every pair one.
func TestPairsDoNotAllocate(t *testing.T) {
	const pairs = 1000
	many := tally[string, []byte, int, int]{job[string, []byte, int, int]{
		func(_ context.Context, line string, emit func([]byte, int)) error {
			key := []byte(line)
			for i := range pairs {
				emit(key, i)
			}
			return nil
		},
		func(_ context.Context, _ []byte, ns iter.Seq[int]) (int, error) { return 0, nil },
	}, add[int]}
	k := keyedOf(t, Of(many))
	task := valuesTask(t, "key")
	for name, shard := range map[string]func() error{
		"bytes": func() error { return k.MapShard(t.Context(), task, ignore) },
		"words": func() error {
			return k.Words().MapShard(t.Context(), task, func([][16]byte, [][]byte, []uint64) error { return nil })
		},
	} {
		if got := testing.AllocsPerRun(10, func() {
			if err := shard(); err != nil {
				t.Fatal(err)
			}
		}); got > 50 {
			t.Errorf("%s: %v allocations for %d pairs, want those of a task alone", name, got, pairs)
		}
	}
}

// Bytes are lent until Reduce returns: they may be what it returns, whatever
// values are still to come.
func TestBytesAreLentUntilReduceReturns(t *testing.T) {
	first := job[string, []byte, []byte, []byte]{
		nil,
		func(_ context.Context, key []byte, values iter.Seq[[]byte]) ([]byte, error) {
			for v := range values {
				return v, nil
			}
			return key, nil
		},
	}
	k := keyedOf(t, Of(first))
	buf := make([]byte, 0, 64) // one for all, as whoever merges has
	groups := func(yield func([]byte, iter.Seq[[]byte]) bool) {
		for _, key := range []string{"a", "b"} {
			values := func(yield func([]byte) bool) {
				for i := range 2000 {
					buf = append(buf[:0], 0xc4, 2, key[0], byte(i))
					if !yield(buf) {
						return
					}
				}
			}
			if !yield([]byte(key), values) {
				return
			}
		}
	}
	var got []string
	err := k.ReduceGroups(t.Context(), &Task{}, groups, func(_, value []byte) error {
		got = append(got, string(value))
		return nil
	})
	if err != nil || len(got) != 2 || got[0] != "\xc4\x02a\x00" || got[1] != "\xc4\x02b\x00" {
		t.Errorf("got %q, %v, want the first value of each key", got, err)
	}
}
