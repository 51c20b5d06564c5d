package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
)

// byLength emits each word with its length as the key.
type byLength struct{}

func (byLength) Map(_ context.Context, line string, emit func(int, string)) error {
	for w := range strings.FieldsSeq(line) {
		emit(len(w), w)
	}
	return nil
}

func TestWithoutAReduceEveryPairIsThereInOrder(t *testing.T) {
	out, err := LocalRun(t.Context(), OfMap(byLength{}), LocalOptions{
		Values: []any{"one three", "two five", "six four"}, ValuesPerTask: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for p, err := range Pairs[int, string](t.Context(), out) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s", p.Key, p.Value))
	}
	want := []string{"3 one", "3 two", "3 six", "4 five", "4 four", "5 three"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: by key, and those of a key as they were in the input", got, want)
	}
}

type lengthCombine struct{ byLength }

func (lengthCombine) Combine(a, _ string) string { return a }

func TestACombineWithoutAReduceIsRefused(t *testing.T) {
	if err := Check(OfMap(lengthCombine{})); err == nil || !strings.Contains(err.Error(), "no Reduce") {
		t.Errorf("got %v, want an error that says what is missing", err)
	}
}

func TestPairsThatCannotBeTakenEndTheirPassing(t *testing.T) {
	broken := errors.New("disk full")
	k := keyedOf(t, OfMap(byLength{}))
	taken := 0
	err := k.ReduceGroups(t.Context(), &Task{}, twice("a", "b"), func(_, _ []byte) error {
		taken++
		return broken
	})
	if !errors.Is(err, broken) || taken != 1 {
		t.Errorf("got %v after %d pairs, want %v after the first", err, taken, broken)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken) // as when the values can't be read to the end
	if err := k.ReduceGroups(ctx, &Task{}, twice("a"), ignore); !errors.Is(err, broken) {
		t.Errorf("cancelled: got %v, want %v", err, broken)
	}
}

// twice returns groups of the given keys with two values each.
func twice(keys ...string) iter.Seq2[[]byte, iter.Seq[[]byte]] {
	values := slices.Values([][]byte{{1}, {2}})
	encoded := make([][]byte, len(keys))
	for i, k := range keys {
		encoded[i] = []byte(k)
	}
	return func(yield func([]byte, iter.Seq[[]byte]) bool) {
		for _, k := range encoded {
			if !yield(k, values) {
				return
			}
		}
	}
}

func TestPassingPairsDoesNotAllocateForEach(t *testing.T) {
	keys := strings.Split(strings.Repeat("key ", 1000), " ")
	groups := twice(keys...)
	k := keyedOf(t, OfMap(byLength{}))
	task := &Task{}
	allocs := testing.AllocsPerRun(10, func() {
		if err := k.ReduceGroups(t.Context(), task, groups, ignore); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 10 {
		t.Errorf("%v allocations for %d pairs, want a few for all", allocs, 2*len(keys))
	}
}
