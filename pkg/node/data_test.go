package node_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// What a value, a payload and a result may have, in bytes. A long string is
// five bytes longer once it is encoded.
const (
	most    = 1 << 20
	framing = 5
)

// grow emits a payload of as many bytes as Params say, and returns a result of
// as many as the payload says it has.
type grow struct{}

func (grow) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	var n int
	if t.Parent != "" {
		var s string
		err := t.Decode(&s)
		return len(s), err
	}
	if _, err := fmt.Sscan(t.Params, &n); err != nil {
		return nil, err
	}
	return nil, t.Emit("large", strings.Repeat("p", n))
}

// TestPayloadsAndResultsMayBeAsLargeAsTheLimit tries one byte less than too
// many, and one more.
func TestPayloadsAndResultsMayBeAsLargeAsTheLimit(t *testing.T) {
	n := one(t, mapreduce.Registry{
		"echo": echo, "grow": grow{}, "wordcount": mapreduce.Of(wordCount{}),
		"answer": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			var size int
			err := t.Decode(&size)
			return strings.Repeat("r", size), err
		}),
	})
	t.Run("value", func(t *testing.T) {
		// In a keyed run there is something around it.
		for processor, around := range map[string]int{"echo": 0, "wordcount": 16} {
			fits := strings.Repeat("v", most-framing-around)
			do(t, n, job.Spec{Processor: processor, Input: job.Values("small", fits, "small", fits)})
			_, err := n.Submit(t.Context(), job.Spec{Processor: processor, Input: job.Values("small", fits+"v")})
			says(t, err, fmt.Sprintf("Input.Values[1] has %d bytes", most-around+1), fmt.Sprint("limit of ", most-around), "put it in a file")
		}
	})
	t.Run("payload", func(t *testing.T) {
		got := values[int](t, do(t, n, job.Spec{Processor: "grow", Params: fmt.Sprint(most - framing)}))
		if !slices.Equal(got, []int{0, most - framing}) {
			t.Errorf("got %d, want nothing and %d", got, most-framing)
		}
		r := submit(t, n, job.Spec{Processor: "grow", Params: fmt.Sprint(most - framing + 1)})
		fails(t, r, job.Failed, "m0", `emitted by m0 as "large" has 1048577 bytes`, "1048576", "emit smaller tasks")
		if got := progress(t, r).Attempts; got != 1 {
			t.Errorf("it was tried %d times, want once", got)
		}
	})
	t.Run("result", func(t *testing.T) {
		got := values[string](t, do(t, n, job.Spec{Processor: "answer", Input: job.Values(1, most-framing, 0)}))
		if len(got) != 3 || len(got[1]) != most-framing {
			t.Errorf("got %d results, want 3 with %d bytes in the second", len(got), most-framing)
		}
		r := submit(t, n, job.Spec{Processor: "answer", Input: job.Values(most - framing + 1)})
		fails(t, r, job.Failed, "result of m0 has 1048577 bytes", "1048576", "Task.Create")
		if got := progress(t, r).Attempts; got != 1 {
			t.Errorf("it was tried %d times, want once", got)
		}
	})
	stillWorks(t, n)
}

func progress(t *testing.T, r interface {
	Progress(context.Context) (job.Progress, error)
},
) job.Progress {
	t.Helper()
	p, err := r.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAResultThatCanNotBeEncodedFailsForGood names the type.
func TestAResultThatCanNotBeEncodedFailsForGood(t *testing.T) {
	n := one(t, mapreduce.Registry{
		"echo": echo,
		"odd":  mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { return make(chan int), nil }),
		"emits": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			return nil, t.Emit("odd", func() {})
		}),
		"named": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			return nil, t.Emit(strings.Repeat("n", 257), 1)
		}),
	})
	for processor, texts := range map[string][]string{
		"odd":   {"result of m0", "chan int"},
		"emits": {"emitted by m0", `"odd"`, "func()"},
		"named": {"name of a task emitted by m0 has 257 bytes", "256", "payload"},
	} {
		r := submit(t, n, job.Spec{Processor: processor})
		fails(t, r, job.Failed, texts...)
		if got := progress(t, r).Attempts; got != 1 {
			t.Errorf("%s was tried %d times, want once", processor, got)
		}
	}
	stillWorks(t, n)
}

// TestEveryInlineValueIsATask submits a hundred thousand, which come back in
// order.
func TestEveryInlineValueIsATask(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": mapreduce.Func(func(_ context.Context, n int) (int, error) { return n, nil })})
	in := make([]int, 100_000)
	for i := range in {
		in[i] = i
	}
	if got := values[int](t, do(t, n, job.Spec{Processor: "echo", Input: job.Values(in...)})); !slices.Equal(got, in) {
		t.Errorf("got %d values, want %d, each in its place", len(got), len(in))
	}
}

// TestNothingIsSomething tells no input from an empty one, and an empty value
// from none.
func TestNothingIsSomething(t *testing.T) {
	n := one(t, mapreduce.Registry{
		"echo": echo, "wordcount": mapreduce.Of(wordCount{}), "lines": mapreduce.Of(countLines{}),
		"nil": mapreduce.Func(func(_ context.Context, v *string) (any, error) {
			if v == nil {
				return nil, nil
			}
			return *v, nil
		}),
	})
	if got := values[string](t, do(t, n, job.Spec{Processor: "echo", Input: job.Values("", "a", "")})); !slices.Equal(got, []string{"", "a", ""}) {
		t.Errorf("got %q", got)
	}
	if got := values[string](t, do(t, n, job.Spec{Processor: "nil", Input: job.Values[any](nil, "a")})); !slices.Equal(got, []string{"", "a"}) {
		t.Errorf("got %q of nil and a", got)
	}
	if got := pairs[string, int](t, do(t, n, job.Spec{Processor: "lines", Partitions: 1, Input: job.Values("", "", "a")})); !slices.Equal(got, []mapreduce.Pair[string, int]{{Key: "", Value: 2}, {Key: "a", Value: 1}}) {
		t.Errorf("got %v", got)
	}
	for processor, tasks := range map[string]int{"echo": 0, "wordcount": 3} {
		spec := job.Spec{Processor: processor, Input: job.Values[string]()}
		if processor == "wordcount" {
			spec.Partitions = tasks
		}
		r := submit(t, n, spec)
		if _, err := r.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := progress(t, r).Tasks; got != tasks {
			t.Errorf("%s: got %d tasks of an input without values, want %d", processor, got, tasks)
		}
	}
	// Without an input there is one task, and it has no payload.
	if got := values[string](t, do(t, n, job.Spec{Processor: "echo"})); !slices.Equal(got, []string{""}) {
		t.Errorf("got %q of no input, want one empty result", got)
	}
	for _, sorted := range []bool{false, true} {
		out := do(t, n, job.Spec{Processor: "lines", Partitions: 3, Sorted: sorted})
		if got := pairs[string, int](t, out); !slices.Equal(got, []mapreduce.Pair[string, int]{{Key: "", Value: 1}}) {
			t.Errorf("got %v of no input, want one empty record", got)
		}
	}
}

// countLines counts equal lines.
type countLines struct{}

func (countLines) Map(_ context.Context, line string, emit func(string, int)) error {
	emit(line, 1)
	return nil
}

func (countLines) Reduce(ctx context.Context, k string, ones iter.Seq[int]) (int, error) {
	return wordCount{}.Reduce(ctx, k, ones)
}

// place is a key with fields.
type place struct {
	Country string
	Zip     int32
}

// byPlace counts by a key that is no string.
type byPlace struct{}

func (byPlace) Map(_ context.Context, n int, emit func(place, int)) error {
	emit(place{Country: []string{"at", "ch\x00", ""}[n%3], Zip: int32(n%5 - 2)}, 1)
	return nil
}

func (byPlace) Reduce(ctx context.Context, _ place, ones iter.Seq[int]) (int, error) {
	return wordCount{}.Reduce(ctx, "", ones)
}

// bySign counts by a number that may be negative.
type bySign struct{}

func (bySign) Map(_ context.Context, n int, emit func(int, int)) error {
	emit(n%7-3, n)
	return nil
}

func (bySign) Reduce(ctx context.Context, _ int, ns iter.Seq[int]) (int, error) {
	return wordCount{}.Reduce(ctx, "", ns)
}

// TestKeysOfAllKindsMeet collects by keys that are awkward as bytes, and by
// keys that are no strings.
func TestKeysOfAllKindsMeet(t *testing.T) {
	n := one(t, mapreduce.Registry{
		"echo": echo, "lines": mapreduce.Of(countLines{}), "place": mapreduce.Of(byPlace{}), "sign": mapreduce.Of(bySign{}),
	})
	long := strings.Repeat("k", 400<<10)
	want := map[string]int{"": 2, "\x00": 1, "\x00\x00": 1, "a\x00b": 2, "a": 1, "a\x00": 1, "\xff\xfe": 1, "ключ": 1, long: 2, long + "\x00": 1}
	var lines []string
	for line, n := range want {
		for range n {
			lines = append(lines, line)
		}
	}
	for _, sorted := range []bool{false, true} {
		got := pairs[string, int](t, do(t, n, job.Spec{Processor: "lines", Input: job.Values(lines...), Partitions: 4, Sorted: sorted}))
		for _, p := range got {
			if want[p.Key] != p.Value {
				t.Errorf("got %d of %.10q, want %d", p.Value, p.Key, want[p.Key])
			}
		}
		if len(got) != len(want) {
			t.Errorf("got %d keys, want %d", len(got), len(want))
		}
		if ordered := slices.IsSortedFunc(got, func(a, b mapreduce.Pair[string, int]) int { return cmp.Compare(a.Key, b.Key) }); sorted && !ordered {
			t.Error("the keys of a sorted run are in no order")
		}
	}

	in := make([]int, 1000)
	places, signs := map[place]int{}, map[int]int{}
	for i := range in {
		in[i] = i
		places[place{Country: []string{"at", "ch\x00", ""}[i%3], Zip: int32(i%5 - 2)}]++
		signs[i%7-3] += i
	}
	gotPlaces, err := mapreduce.Collect[place, int](t.Context(), do(t, n, job.Spec{Processor: "place", Input: job.Values(in...)}))
	if err != nil || fmt.Sprint(gotPlaces) != fmt.Sprint(places) {
		t.Errorf("got %v, %v, want %v", gotPlaces, err, places)
	}
	var gotSigns []int
	for _, p := range pairs[int, int](t, do(t, n, job.Spec{Processor: "sign", Input: job.Values(in...), Sorted: true, Partitions: 3})) {
		gotSigns = append(gotSigns, p.Key)
		if signs[p.Key] != p.Value {
			t.Errorf("got %d for %d, want %d", p.Value, p.Key, signs[p.Key])
		}
	}
	if !slices.Equal(gotSigns, []int{-3, -2, -1, 0, 1, 2, 3}) {
		t.Errorf("got keys %d, want -3 to 3 in order", gotSigns)
	}
}

// sized emits a key and returns a value of as many bytes as the record says.
type sized struct{ key, out bool }

func (s sized) Map(_ context.Context, n int, emit func(string, int)) error {
	if s.key {
		emit(strings.Repeat("k", n), n)
	} else {
		emit("key", n)
	}
	return nil
}

func (s sized) Reduce(_ context.Context, _ string, ns iter.Seq[int]) (string, error) {
	for n := range ns {
		if s.out {
			return strings.Repeat("v", n), nil
		}
	}
	return "", nil
}

// TestKeysAndPairsMayBeAsLargeAsTheLimit tries a key of a mebibyte and output
// of almost as much, and a little more.
func TestKeysAndPairsMayBeAsLargeAsTheLimit(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo, "key": mapreduce.Of(sized{key: true}), "pair": mapreduce.Of(sized{out: true})})
	for _, size := range []int{0, 1, most} {
		got := pairs[string, string](t, do(t, n, job.Spec{Processor: "key", Input: job.Values(size), Output: job.Output{Dir: t.TempDir(), Format: "tsv"}}))
		if len(got) != 0 {
			t.Errorf("got %d pairs besides the files", len(got))
		}
	}
	r := submit(t, n, job.Spec{Processor: "key", Input: job.Values(most + 1)})
	fails(t, r, job.Failed, "1048576", "emit a hash of it")
	if got := progress(t, r).Attempts; got != 1 {
		t.Errorf("a key that is too long was tried %d times, want once", got)
	}
	got := pairs[string, string](t, do(t, n, job.Spec{Processor: "pair", Input: job.Values(1 << 19)}))
	if len(got) != 1 || len(got[0].Value) != 1<<19 {
		t.Errorf("got %d pairs, want one of half a mebibyte", len(got))
	}
	r = submit(t, n, job.Spec{Processor: "pair", Input: job.Values(1 << 20)})
	fails(t, r, job.Failed, "r", "bytes", "Output")
	stillWorks(t, n)
}
