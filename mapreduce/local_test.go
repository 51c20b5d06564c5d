package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLocalReturnsPairsInKeyOrder(t *testing.T) {
	m := job[int, int, int, int]{
		func(_ context.Context, n int, emit func(int, int)) error { emit(n%5-2, n); return nil },
		func(_ context.Context, _ int, ns iter.Seq[int]) (total int, err error) {
			for n := range ns {
				total += n
			}
			return total, nil
		},
	}
	got, err := Local(t.Context(), m, 1, 2, 3, 4, 5, 6)
	want := []Pair[int, int]{{-2, 5}, {-1, 7}, {0, 2}, {1, 3}, {2, 4}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v and %v, want %v", got, err, want)
	}
	if got, err := Local(t.Context(), m); err != nil || len(got) != 0 {
		t.Errorf("without inputs: got %v and %v", got, err)
	}
}

// program is a random keyed job: how many pairs a number makes, with which
// keys and values, and how they are folded, all follow from its seed.
type program struct {
	seed uint64
	keys int
}

func (p program) Map(_ context.Context, n int, emit func(string, int64)) error {
	rnd := rand.New(rand.NewPCG(p.seed, uint64(n)))
	for range rnd.IntN(20) {
		emit(strings.Repeat("k", rnd.IntN(3))+fmt.Sprint(rnd.IntN(p.keys)), rnd.Int64N(1000)-500)
	}
	return nil
}

func (p program) fold(a, b int64) int64 {
	switch p.seed % 3 {
	case 0:
		return a + b
	case 1:
		return min(a, b)
	}
	return a ^ b
}

func (p program) Reduce(_ context.Context, key string, values iter.Seq[int64]) (string, error) {
	first, folded := true, int64(0)
	for v := range values {
		if first {
			first, folded = false, v
			continue
		}
		folded = p.fold(folded, v)
	}
	return fmt.Sprint(key, "=", folded), nil
}

type combining struct{ program }

func (c combining) Combine(a, b int64) int64 { return c.fold(a, b) }

func TestTheOutputDoesNotDependOnHowTheWorkIsCut(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 60 {
		p := program{rnd.Uint64(), 1 + rnd.IntN(50)}
		var inputs []int
		var values []any
		for range rnd.IntN(60) {
			n := rnd.IntN(1000)
			inputs, values = append(inputs, n), append(values, n)
		}
		plain, err := Local(t.Context(), p, inputs...)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, pair := range plain {
			want[pair.Key] = pair.Value
		}
		for range 5 {
			o := LocalOptions{
				Values: values, ValuesPerTask: rnd.IntN(10), Partitions: rnd.IntN(9),
				Sorted: rnd.IntN(2) == 0, Combine: rnd.IntN(2) == 0,
			}
			if len(values) == 0 {
				continue
			}
			out, err := LocalRun(t.Context(), Of(combining{p}), o)
			if err != nil {
				t.Fatal(err)
			}
			n, last := 0, ""
			for pair, err := range Pairs[string, string](t.Context(), out) {
				if err != nil {
					t.Fatal(err)
				}
				if want[pair.Key] != pair.Value {
					t.Fatalf("%+v: key %q: got %q, want %q", o, pair.Key, pair.Value, want[pair.Key])
				}
				if o.Sorted && n > 0 && pair.Key <= last {
					t.Fatalf("%+v: key %q comes after %q", o, pair.Key, last)
				}
				n, last = n+1, pair.Key
			}
			if n != len(want) {
				t.Fatalf("%+v: got %d pairs, want %d", o, n, len(want))
			}
		}
	}
}

func TestLocalMapsTheLinesOfSplits(t *testing.T) {
	path := write(t, "f", []byte("to be or\nnot to be\n"))
	out, err := LocalRun(t.Context(), Of(counting()), LocalOptions{Splits: []Split{
		{Ranges: []Range{{Path: path, Length: 4}}},
		{Ranges: []Range{{Path: path, Offset: 4, Length: -1}}},
	}, Partitions: 3, Sorted: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Collect[string, int](t.Context(), out)
	if err != nil || fmt.Sprint(got) != "map[be:2 not:1 or:1 to:2]" {
		t.Errorf("got %v and %v", got, err)
	}
}

func TestLocalWritesAFilePerPartition(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	options := LocalOptions{
		Values: []any{"to be or", "not to be"}, Partitions: 4, Sorted: true, Dir: dir, Format: TSV,
	}
	if _, err := LocalRun(t.Context(), Of(counting()), options); err != nil {
		t.Fatal(err)
	}
	options.Partitions = 2 // the other two must go
	out, err := LocalRun(t.Context(), Of(counting()), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := lastError(out.Items(t.Context())); err != nil {
		t.Error(err)
	}
	if names, text := contents(t, dir); names != "part-00000 part-00001" || text != "be\t2\nnot\t1\nor\t1\nto\t2\n" {
		t.Errorf("got files %s with %q", names, text)
	}
}

// contents returns the names in dir and what is in the files, in their order.
func contents(t *testing.T, dir string) (names, text string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	return strings.Join(all, " "), text
}

// story is a processor that tells what it was called with.
type story struct {
	process func(ctx context.Context, t *Task) (any, error)
	told    *[]string
}

func (s story) tell(format string, args ...any) {
	*s.told = append(*s.told, fmt.Sprintf(format, args...))
}

func (s story) Before(_ context.Context, t *Task) (any, error) {
	s.tell("before %s", t.ID)
	return "hello", nil
}

func (s story) Process(ctx context.Context, t *Task) (any, error) {
	var before string
	if err := t.DecodeBefore(&before); err != nil {
		return nil, err
	}
	s.tell("%s %s %d/%d parent=%s name=%s before=%s", t.ID, t.Node, t.Shard.Index, t.Shard.Total, t.Parent, t.Name, before)
	if s.process == nil {
		return t.ID, nil
	}
	return s.process(ctx, t)
}

func (s story) Reduce(_ context.Context, t *Task, results iter.Seq[Result]) (any, error) {
	n := 0
	for r := range results {
		var id string
		err := r.Decode(&id)
		s.tell("%s sees %d %q %v", t.ID, r.Task, id, err)
		n++
	}
	return n, nil
}

func TestLocalRunsTellTheStoryOfTheirMode(t *testing.T) {
	for _, test := range []struct {
		name    string
		options LocalOptions
		process func(context.Context, *Task) (any, error)
		want    []string
	}{
		{"standalone", LocalOptions{}, nil, []string{
			"before b0",
			"m0 local 0/1 parent= name= before=hello",
			`r0 sees 0 "m0" <nil>`,
		}},
		{"sharded", LocalOptions{Shards: 2}, nil, []string{
			"before b0",
			"m0 local 0/2 parent= name= before=hello",
			"m1 local 1/2 parent= name= before=hello",
			`r0 sees 0 "m0" <nil>`, `r0 sees 1 "m1" <nil>`,
		}},
		{"broadcast", LocalOptions{Nodes: []string{"x", "y"}}, nil, []string{
			"before b0",
			"m0 x 0/2 parent= name= before=hello",
			"m1 y 1/2 parent= name= before=hello",
			`r0 sees 0 "m0" <nil>`, `r0 sees 1 "m1" <nil>`,
		}},
		{"levels", LocalOptions{Values: []any{2, 1}}, countDown, []string{
			"before b0",
			"m0 local 0/2 parent= name= before=hello",
			"m1 local 1/2 parent= name= before=hello",
			"m2 local 0/0 parent=m0 name=level before=hello",
			"m3 local 0/0 parent=m0 name=level before=hello",
			"m4 local 0/0 parent=m1 name=level before=hello",
			"m5 local 0/0 parent=m2 name=level before=hello",
			"m6 local 0/0 parent=m3 name=level before=hello",
			`r0 sees 0 "m0" <nil>`, `r0 sees 1 "m1" <nil>`, `r0 sees 2 "m2" <nil>`, `r0 sees 3 "m3" <nil>`,
			`r0 sees 4 "m4" <nil>`, `r0 sees 5 "m5" <nil>`, `r0 sees 6 "m6" <nil>`,
		}},
		{"a failure that is tolerated", LocalOptions{Values: []any{1, 0}, Tolerate: 1}, failing, []string{
			"before b0",
			"m0 local 0/2 parent= name= before=hello",
			"m1 local 1/2 parent= name= before=hello",
			`r0 sees 0 "" mapreduce: task 0 failed: no luck`,
			`r0 sees 1 "m1" <nil>`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var told []string
			out, err := LocalRun(t.Context(), story{test.process, &told}, test.options)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(told, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(test.want, "\n"))
			}
			n, err := Value[int](t.Context(), out)
			if want := strings.Count(strings.Join(test.want, "\n"), "sees"); err != nil || n != want {
				t.Errorf("got %d and %v, want %d", n, err, want)
			}
		})
	}
}

// countDown emits n tasks of one less.
func countDown(_ context.Context, t *Task) (any, error) {
	var n int
	if err := t.Decode(&n); err != nil {
		return nil, err
	}
	for range n {
		if err := t.Emit("level", n-1); err != nil {
			return nil, err
		}
	}
	return t.ID, nil
}

// failing emits a task and then fails, unless its payload is 0.
func failing(_ context.Context, t *Task) (any, error) {
	var n int
	if err := t.Decode(&n); err != nil {
		return nil, err
	}
	if n == 0 {
		return t.ID, nil
	}
	if err := t.Emit("lost", n); err != nil {
		return nil, err
	}
	return nil, errors.New("no luck")
}

func TestAnAttemptThatFailedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	p := ProcessorFunc(func(_ context.Context, t *Task) (any, error) {
		if t.Parent != "" {
			return "child", nil
		}
		f, err := t.Create(fmt.Sprintf("sub/%s-%d", t.ID, t.Attempt))
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(f, "text"); err != nil {
			return nil, err
		}
		if err := t.Emit("child", t.Attempt); err != nil {
			return nil, err
		}
		if t.Attempt < 3 {
			return nil, errors.New("not yet")
		}
		return "parent", f.Close()
	})
	if _, err := LocalRun(t.Context(), p, LocalOptions{Dir: dir, Attempts: 2}); err == nil || !strings.Contains(err.Error(), "task m0: not yet") {
		t.Errorf("got %v, want the error of m0", err)
	}
	if names, _ := contents(t, dir); names != "" {
		t.Errorf("a failed run left %s", names)
	}
	out, err := LocalRun(t.Context(), p, LocalOptions{Dir: dir, Attempts: 3})
	if err != nil {
		t.Fatal(err)
	}
	if names, text := contents(t, filepath.Join(dir, "sub")); names != "m0-3" || text != "text" {
		t.Errorf("got files %s with %q, want that of the third attempt", names, text)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("got %v, want nothing else", names)
	}
	var got []string
	for v, err := range Values[string](t.Context(), out) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, v)
	}
	if want := []string{"parent", "child"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPermanentErrorsAreNotTriedAgain(t *testing.T) {
	n := 0
	p := Func(func(context.Context, int) (int, error) {
		n++
		return 0, Permanent(errors.New("never"))
	})
	if _, err := LocalRun(t.Context(), p, LocalOptions{Attempts: 5}); !IsPermanent(err) || n != 1 {
		t.Errorf("got %v after %d attempts, want it after one", err, n)
	}
}

func TestLocalNamesWhatIsWrong(t *testing.T) {
	create := func(name string) Processor {
		return ProcessorFunc(func(_ context.Context, t *Task) (any, error) {
			_, err := t.Create(name)
			return nil, err
		})
	}
	dir := t.TempDir()
	for _, test := range []struct {
		want    string
		p       Processor
		options LocalOptions
	}{
		{"more than one of", create("x"), LocalOptions{Shards: 1, Nodes: []string{"x"}}},
		{"Shards is -1", create("x"), LocalOptions{Shards: -1}},
		{"Partitions is -1", create("x"), LocalOptions{Partitions: -1}},
		{`Format is "xml"`, create("x"), LocalOptions{Format: "xml", Dir: dir}},
		{"Dir is empty", create("x"), LocalOptions{Format: TSV}},
		{"set Dir", create("x"), LocalOptions{}},
		{"below the output directory", create("../x"), LocalOptions{Dir: dir}},
		{"has one of that name", create("x"), LocalOptions{Dir: dir, Shards: 2}},
		{"result of type chan", ProcessorFunc(func(context.Context, *Task) (any, error) { return make(chan int), nil }), LocalOptions{}},
		{"Values[1] of type chan", create("x"), LocalOptions{Values: []any{1, make(chan int)}}},
		{"Values[1] of type chan", Of(counting()), LocalOptions{Values: []any{"", make(chan int)}}},
		{"give it Values or Splits", Of(counting()), LocalOptions{Shards: 3}},
		{"is nil", nil, LocalOptions{}},
		{"key type", Of(badKey{}), LocalOptions{}},
	} {
		if _, err := LocalRun(t.Context(), test.p, test.options); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want one with %q", err, test.want)
		}
	}
}
