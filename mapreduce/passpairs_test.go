package mapreduce

import (
	"context"
	"fmt"
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

func TestWithoutAReduceThereIsNothingToCall(t *testing.T) {
	k := keyedOf(t, OfMap(byLength{}))
	if k.CanReduce() {
		t.Error("it says that it has a Reduce")
	}
	if err := k.ReduceGroups(t.Context(), &Task{}, nil, ignore); !IsPermanent(err) {
		t.Errorf("got %v, want an error for good", err)
	}
}
