package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/codec"
)

// job is a MapReducer of two functions.
type job[In, K, V, Out any] struct {
	mapf    func(ctx context.Context, in In, emit func(K, V)) error
	reducef func(ctx context.Context, key K, values iter.Seq[V]) (Out, error)
}

func (j job[In, K, V, Out]) Map(ctx context.Context, in In, emit func(K, V)) error {
	return j.mapf(ctx, in, emit)
}

func (j job[In, K, V, Out]) Reduce(ctx context.Context, key K, values iter.Seq[V]) (Out, error) {
	return j.reducef(ctx, key, values)
}

func words(_ context.Context, line string, emit func(string, int)) error {
	for w := range strings.FieldsSeq(line) {
		emit(w, 1)
	}
	return nil
}

func sum(_ context.Context, _ string, ns iter.Seq[int]) (total int, err error) {
	for n := range ns {
		total += n
	}
	return total, nil
}

func counting() job[string, string, int, int] { return job[string, string, int, int]{words, sum} }

func keyedOf(t *testing.T, p Processor) Keyed {
	t.Helper()
	if err := Check(p); err != nil {
		t.Fatal(err)
	}
	return PowersOf(p).Keyed
}

func valuesTask(t *testing.T, values ...any) *Task {
	t.Helper()
	var encoded [][]byte
	for _, v := range values {
		b, err := codec.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		encoded = append(encoded, b)
	}
	payload, err := ValuesPayload(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return &Task{ID: "m0", Payload: payload}
}

func splitTask(t *testing.T, s Split) *Task {
	t.Helper()
	payload, err := SplitPayload(s)
	if err != nil {
		t.Fatal(err)
	}
	return &Task{ID: "m0", Payload: payload}
}

func ignore([]byte, []byte) error { return nil }

func TestAKeyedProcessorRefusesToProcessOneTask(t *testing.T) {
	_, err := Of(counting()).Process(t.Context(), &Task{})
	if !IsPermanent(err) || !strings.Contains(err.Error(), "mode mapreduce") {
		t.Errorf("got %v, want a permanent error that names the mode", err)
	}
}

type (
	badKey = job[string, chan int, int, int]
	badOut = job[string, string, int, func()]
	badIn  = job[func(), string, int, int]
)

func TestTypesThatCannotBeEncodedAreRefusedAtOnce(t *testing.T) {
	for want, p := range map[string]Processor{
		"key type":    Of(badKey{}),
		"output type": Of(badOut{}),
		"input type":  Of(badIn{}),
		"nil":         nil,
	} {
		err := Check(p)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check: got %v, want one with %q", err, want)
		}
		if p == nil {
			continue
		}
		k := PowersOf(p).Keyed
		for _, err := range []error{
			k.MapShard(t.Context(), &Task{}, ignore),
			k.ReduceGroups(t.Context(), &Task{}, nil, ignore),
		} {
			if !IsPermanent(err) || !strings.Contains(err.Error(), want) {
				t.Errorf("task: got %v, want a permanent error with %q", err, want)
			}
		}
	}
}

type wrongCombine struct {
	job[string, string, int, int]
}

func (wrongCombine) Combine(a, b int64) int64 { return a + b }

type pointerCombine struct {
	job[string, string, int, int]
}

func (*pointerCombine) Combine(a, b int) int { return a + b }

func TestACombineThatWouldNeverBeCalledIsRefused(t *testing.T) {
	for want, p := range map[string]Processor{
		"Combine(a, b int) int": Of(wrongCombine{}),
		"pass a pointer":        Of(pointerCombine{}),
	} {
		if err := Check(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want one with %q", err, want)
		}
	}
	p := Of(&pointerCombine{})
	if err := Check(p); err != nil || !PowersOf(p).Keyed.CanCombine() {
		t.Errorf("a pointer: got %v, want a combiner", err)
	}
	if PowersOf(Of(counting())).Keyed.CanCombine() {
		t.Error("a job without Combine can combine")
	}
}

type versioned struct {
	job[string, string, int, int]
}

func (versioned) Version() string { return "v7" }

func TestTheVersionIsPassedOn(t *testing.T) {
	if got := PowersOf(Of(versioned{})).Version; got != "v7" {
		t.Errorf("got %q, want v7", got)
	}
	if got := PowersOf(Of(counting())).Version; got != "" {
		t.Errorf("got %q, want none", got)
	}
}

// seen maps the records of a task and returns them as text.
func seen[In any](t *testing.T, task *Task) ([]string, error) {
	t.Helper()
	var got []string
	k := keyedOf(t, Of(job[In, string, int, int]{func(_ context.Context, in In, _ func(string, int)) error {
		if b, ok := any(in).([]byte); ok {
			got = append(got, string(b))
			return nil
		}
		got = append(got, fmt.Sprint(in))
		return nil
	}, sum}))
	err := k.MapShard(t.Context(), task, ignore)
	return got, err
}

func TestRecordsAreWhatTheMapperAsksFor(t *testing.T) {
	path := write(t, "f", []byte("a b\nc\n"))
	lines := Split{Ranges: []Range{{Path: path, Length: -1}}}
	whole := Split{Whole: true, Ranges: lines.Ranges}
	check := func(name string, got []string, err error, want ...string) {
		t.Helper()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q and %v, want %q", name, got, err, want)
		}
	}
	got, err := seen[string](t, splitTask(t, lines))
	check("lines as string", got, err, "a b", "c")
	got, err = seen[[]byte](t, splitTask(t, lines))
	check("lines as bytes", got, err, "a b", "c")
	got, err = seen[Line](t, splitTask(t, lines))
	check("lines", got, err, "a b", "c")
	got, err = seen[string](t, splitTask(t, whole))
	check("file as string", got, err, "a b\nc\n")
	got, err = seen[[]byte](t, splitTask(t, whole))
	check("file as bytes", got, err, "a b\nc\n")
	got, err = seen[File](t, splitTask(t, whole))
	check("file", got, err, fmt.Sprint(File{path, []byte("a b\nc\n")}))
	got, err = seen[int](t, valuesTask(t, 1, 2))
	check("values", got, err, "1", "2")
	got, err = seen[[]int](t, valuesTask(t, []int{1, 2}))
	check("slices", got, err, "[1 2]")
	got, err = seen[string](t, &Task{})
	check("no payload", got, err, "")
}

func TestInputThatDoesNotFitTheMapperIsNamed(t *testing.T) {
	lines := Split{Ranges: []Range{{Path: "any", Length: -1}}}
	whole := Split{Whole: true, Ranges: lines.Ranges}
	for _, test := range []struct {
		name string
		err  func() error
		want []string
	}{
		{"lines as int", func() error { _, err := seen[int](t, splitTask(t, lines)); return err }, []string{"int", "mapreduce.Line"}},
		{"lines as file", func() error { _, err := seen[File](t, splitTask(t, lines)); return err }, []string{"File", "mapreduce.Line"}},
		{"files as line", func() error { _, err := seen[Line](t, splitTask(t, whole)); return err }, []string{"Line", "mapreduce.File"}},
		{"text as int", func() error { _, err := seen[int](t, valuesTask(t, 1, "x")); return err }, []string{"value 1", "int"}},
		{"foreign payload", func() error { _, err := seen[int](t, &Task{Payload: []byte{1}}); return err }, []string{"ValuesPayload"}},
		{"sample", func() error { _, err := seen[int](t, &Task{Payload: parcel(kindSample, nil)}); return err }, []string{"'p'"}},
	} {
		err := test.err()
		for _, want := range test.want {
			if !IsPermanent(err) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want a permanent error with %q", test.name, err, want)
			}
		}
	}
}

func TestMapErrorsNameTheRecordAndKeepTheirMarks(t *testing.T) {
	cause := errors.New("no such word")
	k := keyedOf(t, Of(job[string, string, int, int]{func(_ context.Context, in string, _ func(string, int)) error {
		if strings.Contains(in, "bad") {
			return RetryAfter(cause, time.Minute)
		}
		return nil
	}, sum}))
	path := write(t, "f", []byte("good\nbad\n"))
	for want, task := range map[string]*Task{
		path + " at byte 5": splitTask(t, Split{Ranges: []Range{{Path: path, Length: -1}}}),
		"map " + path + ":": splitTask(t, Split{Whole: true, Ranges: []Range{{Path: path, Length: -1}}}),
		"value 2":           valuesTask(t, "good", "good", "bad"),
	} {
		err := k.MapShard(t.Context(), task, ignore)
		after, ok := RetryDelay(err)
		if !errors.Is(err, cause) || !ok || after != time.Minute || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %v with %q", err, cause, want)
		}
	}
}

func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestPanicsPassThroughWithTheirPlace(t *testing.T) {
	boom := errors.New("boom")
	k := keyedOf(t, Of(job[string, string, int, int]{
		func(context.Context, string, func(string, int)) error { panic(boom) },
		func(context.Context, string, iter.Seq[int]) (int, error) { panic(boom) },
	}))
	for want, f := range map[string]func(){
		"map value 0": func() { k.MapShard(t.Context(), valuesTask(t, "x"), ignore) },
		`reduce key "a"`: func() {
			k.ReduceGroups(t.Context(), &Task{}, encodedGroups(t, []string{"a"}, []int{1}), ignore)
		},
	} {
		p, ok := recovered(f).(*RecordPanic)
		if !ok || p.Where != want || p.Value != any(boom) || !errors.Is(p, boom) || !strings.Contains(p.Error(), want) {
			t.Errorf("got %v, want %v at %q", p, boom, want)
		}
	}
}

func TestGoexitInMapIsNotMistakenForAPanic(t *testing.T) {
	k := keyedOf(t, Of(job[string, string, int, int]{
		func(context.Context, string, func(string, int)) error { runtime.Goexit(); return nil }, sum,
	}))
	task := valuesTask(t, "x")
	returned := true
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		k.MapShard(context.Background(), task, ignore)
		returned = false
	}()
	if v := <-done; v != nil || !returned {
		t.Errorf("recovered %v, want the goroutine to end without a panic", v)
	}
}

func TestAPairThatIsNotTakenInCancelsAndFailsTheAttempt(t *testing.T) {
	full := errors.New("the disk is full")
	calls := 0
	k := keyedOf(t, Of(job[string, string, int, int]{func(ctx context.Context, in string, emit func(string, int)) error {
		emit(in, 1)
		emit(in, 2)
		if !errors.Is(context.Cause(ctx), full) {
			t.Errorf("cause: got %v, want %v", context.Cause(ctx), full)
		}
		return nil // even if Map does not mind
	}, sum}))
	err := k.MapShard(t.Context(), valuesTask(t, "a", "b"), func([]byte, []byte) error { calls++; return full })
	if !errors.Is(err, full) || calls != 1 {
		t.Errorf("got %v after %d calls, want %v after one", err, calls, full)
	}
}

func TestKeysOverTheLimitAreRefused(t *testing.T) {
	k := keyedOf(t, Of(counting()))
	err := k.MapShard(t.Context(), valuesTask(t, strings.Repeat("x", MaxKey+1)), ignore)
	if !IsPermanent(err) || !strings.Contains(err.Error(), "value 0") || len(err.Error()) > 500 {
		t.Errorf("got %.600v, want a short permanent error that names the record", err)
	}
}

func TestACancelledAttemptReturnsTheCause(t *testing.T) {
	cause := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	n := 0
	k := keyedOf(t, Of(job[string, string, int, int]{func(context.Context, string, func(string, int)) error {
		n++
		cancel(cause)
		return nil
	}, func(context.Context, string, iter.Seq[int]) (int, error) { return 0, nil }}))
	if err := k.MapShard(ctx, valuesTask(t, "a", "b"), ignore); !errors.Is(err, cause) || n != 1 {
		t.Errorf("map: got %v after %d records, want %v after one", err, n, cause)
	}
	err := k.ReduceGroups(ctx, &Task{}, encodedGroups(t, []string{"a"}, []int{1}), func([]byte, []byte) error {
		t.Error("a group counted although the attempt was cancelled")
		return nil
	})
	if !errors.Is(err, cause) {
		t.Errorf("reduce: got %v, want %v", err, cause)
	}
}

func TestMappingAllocatesOncePerTaskAndNotPerRecord(t *testing.T) {
	path := write(t, "f", []byte(strings.Repeat("some words on a line\n", 10_000)))
	task := splitTask(t, Split{Ranges: []Range{{Path: path, Length: -1}}})
	k := keyedOf(t, Of(job[[]byte, int, int, int]{func(_ context.Context, line []byte, emit func(int, int)) error {
		for i := range line {
			if line[i] == ' ' {
				emit(i, 1)
			}
		}
		return nil
	}, nil}))
	allocs := testing.AllocsPerRun(3, func() {
		if err := k.MapShard(context.Background(), task, ignore); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 100 {
		t.Errorf("got %.0f allocations for 10000 records, want a handful", allocs)
	}
}
