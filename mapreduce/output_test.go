package mapreduce

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/codec"
)

func outputOf(items ...Item) Output {
	return NewOutput(func(context.Context) iter.Seq2[Item, error] {
		return func(yield func(Item, error) bool) {
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
		}
	})
}

func resultItem(t *testing.T, n int, v any) Item {
	t.Helper()
	b, err := codec.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return Item{Task: "m", N: n, Value: b}
}

func pairItem(t *testing.T, key string, value int) Item {
	t.Helper()
	kc, err := codec.KeyOf[string]()
	if err != nil {
		t.Fatal(err)
	}
	vc, err := codec.ValueOf[int]()
	if err != nil {
		t.Fatal(err)
	}
	k, err := kc.Append([]byte{}, key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vc.Append(nil, value)
	if err != nil {
		t.Fatal(err)
	}
	return Item{Task: "r3", N: 3, Key: k, Value: v}
}

func TestReadersReadWhatTheRunReturned(t *testing.T) {
	ctx := t.Context()
	pairs := outputOf(pairItem(t, "", 1), pairItem(t, "b", 2))
	got, err := Collect[string, int](ctx, pairs)
	if want := map[string]int{"": 1, "b": 2}; err != nil || !maps.Equal(got, want) {
		t.Errorf("Collect: got %v and %v, want %v", got, err, want)
	}
	one, err := Value[string](ctx, outputOf(resultItem(t, 0, "x")))
	if err != nil || one != "x" {
		t.Errorf("Value: got %q and %v, want x", one, err)
	}
	none, err := Value[int](ctx, outputOf(Item{Task: "m0"}))
	if err != nil || none != 0 {
		t.Errorf("Value of a task that returned nothing: got %d and %v", none, err)
	}
	var sum int
	for v, err := range Values[int](ctx, outputOf(resultItem(t, 0, 1), resultItem(t, 1, 2))) {
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	if sum != 3 {
		t.Errorf("Values: got a sum of %d, want 3", sum)
	}
}

func TestReadersSayWhichReaderFits(t *testing.T) {
	ctx := t.Context()
	pairs, results := outputOf(pairItem(t, "a", 1)), outputOf(resultItem(t, 0, 1), resultItem(t, 1, 2))
	for _, test := range []struct {
		name string
		err  func() error
		want string
	}{
		{"Value of pairs", func() error { _, err := Value[int](ctx, pairs); return err }, "use Pairs or Collect"},
		{"Values of pairs", func() error { return lastError(Values[int](ctx, pairs)) }, "use Pairs or Collect"},
		{"Pairs of results", func() error { return lastError(Pairs[string, int](ctx, results)) }, "use Value, Values or Results"},
		{"Value of many", func() error { _, err := Value[int](ctx, results); return err }, "returned 2 values: use Values"},
		{"Value of nothing", func() error { _, err := Value[int](ctx, Output{}); return err }, "returned nothing"},
		{"wrong value type", func() error { return lastError(Pairs[string, string](ctx, pairs)) }, "output type"},
		{"wrong result type", func() error { return lastError(Values[string](ctx, results)) }, "task 0"},
		{"impossible key type", func() error { return lastError(Pairs[chan int, int](ctx, pairs)) }, "chan int"},
	} {
		if err := test.err(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want one with %q", test.name, err, test.want)
		}
	}
}

func TestValuesGoOnAfterATaskThatFailed(t *testing.T) {
	o := outputOf(resultItem(t, 0, 1), Item{Task: "m1", N: 1, Err: "no stock"}, resultItem(t, 2, 3))
	sum, failed := 0, 0
	for v, err := range Values[int](t.Context(), o) {
		var task *TaskError
		switch {
		case errors.As(err, &task):
			if task.Task != 1 || task.Reason != "no stock" {
				t.Errorf("got %+v, want task 1 without stock", task)
			}
			failed++
		case err != nil:
			t.Fatal(err)
		}
		sum += v
	}
	if sum != 4 || failed != 1 {
		t.Errorf("got a sum of %d and %d failures, want 4 and 1", sum, failed)
	}
}

func TestAnOutputThatCannotBeReadEndsTheIteration(t *testing.T) {
	gone := errors.New("the node is gone")
	o := NewOutput(func(context.Context) iter.Seq2[Item, error] {
		return func(yield func(Item, error) bool) { yield(Item{}, gone) }
	})
	_, err := Collect[string, int](t.Context(), o)
	_, err2 := Value[int](t.Context(), o)
	for _, err := range []error{err, err2, lastError(Values[int](t.Context(), o)), lastError(Results(t.Context(), o))} {
		if !errors.Is(err, gone) {
			t.Errorf("got %v, want %v", err, gone)
		}
	}
}

func TestPairsComeBackAsTheyWereAppended(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	random := func(most int) []byte {
		b := make([]byte, rnd.IntN(most))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	var laid []byte
	var want [][2][]byte
	for range 1000 {
		k, v := random(300), random(1000)
		want = append(want, [2][]byte{k, v})
		laid = AppendPair(laid, k, v)
	}
	var got [][2][]byte
	for item, err := range PairItems("r1", 1, laid) {
		if err != nil || item.Key == nil || item.Task != "r1" || item.N != 1 {
			t.Fatalf("got %+v and %v", item, err)
		}
		got = append(got, [2][]byte{item.Key, item.Value})
	}
	if !slices.EqualFunc(got, want, func(a, b [2][]byte) bool {
		return slices.Equal(a[0], b[0]) && slices.Equal(a[1], b[1])
	}) {
		t.Errorf("got %d pairs that differ from the %d appended", len(got), len(want))
	}
	if err := lastError(PairItems("r1", 1, laid[:len(laid)-1])); err == nil || !strings.Contains(err.Error(), "r1") {
		t.Errorf("cut off: got %v, want one that names r1", err)
	}
}

func FuzzBrokenBytesAreRefused(f *testing.F) {
	f.Add(AppendPair(nil, []byte("key"), []byte("value")))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{envelope, kindSplit, 0x81})
	f.Add(parcel(kindSample, [][]byte{parcel(kindValues, [][]byte{{1}})}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for rest := b; len(rest) > 0; {
			key, value, next, err := NextPair(rest)
			if err != nil {
				break
			}
			if len(key)+len(value)+len(next) >= len(rest) {
				t.Fatalf("a pair of %d and %d bytes before %d, of %d", len(key), len(value), len(next), len(rest))
			}
			rest = next
		}
		k := PowersOf(Of(counting())).Keyed
		if kind, _, err := unwrap(b); err != nil || kind != kindSplit {
			_ = k.MapShard(t.Context(), &Task{Payload: b}, ignore)
			_, _ = SampleKeys(t.Context(), k, &Task{Payload: b}, 10)
		} else {
			_, _ = decodeSplit(b[2:])
		}
		if sample, err := SamplePayload([][]byte{b}); err == nil && len(sample) < 2 {
			t.Fatal("a sample without its envelope")
		}
	})
}
