package work

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// fan is one task that emits others, at once or by way of branches, and a
// Reduce that sees what each of them returned.
type fan struct{ noted }

type fanParams struct {
	Branches int           `json:"branches,omitempty"` // 0 means that the first task emits the leaves
	Leaves   int           `json:"leaves"`             // of each branch
	Rest     time.Duration `json:"rest,omitempty"`     // of each leaf, about
	Flaky    int           `json:"flaky,omitempty"`    // the first attempt at one in so many leaves fails
	Brief    bool          `json:"brief,omitempty"`    // the Reduce returns sums and not each number
}

// Fan is a run of one task that emits leaves that rest for about so long.
// With branches it emits that many tasks, each of which emits the leaves.
func Fan(branches, leaves int, rest time.Duration, flaky int) Work {
	p := fanParams{Branches: branches, Leaves: leaves, Rest: rest, Flaky: flaky}
	w := Work{
		Kind: "fan", Spec: job.Spec{Processor: "fan", Params: encode(p)}, Noted: true,
		Tasks: 1 + branches + p.all() + 1, Want: make(map[string]string, p.all()), read: readEach,
	}
	if branches > 0 {
		w.Kind = "tree"
	}
	for n := range p.all() {
		w.Want[strconv.Itoa(n)] = strconv.FormatInt(valueOf(n), 10)
	}
	return w
}

// Flood is like Fan without branches, for so many leaves that the run returns
// sums of what they return instead of all of it.
func Flood(leaves int, rest time.Duration) Work {
	p := fanParams{Leaves: leaves, Rest: rest, Brief: true}
	var sum tally
	for n := range leaves {
		sum.add(leaf{n, valueOf(n)})
	}
	return Work{
		Kind: "flood", Spec: job.Spec{Processor: "fan", Params: encode(p)}, Noted: true,
		Tasks: 1 + leaves + 1, Want: sum.items(), read: readSums,
	}
}

func (p fanParams) all() int { return max(p.Branches, 1) * p.Leaves }

// leaf is what a leaf returns.
type leaf struct {
	N int   `msgpack:"n"`
	V int64 `msgpack:"v"`
}

// tally is what the Reduce returns. The hash depends on which leaves there
// are and how often, but not on their order.
type tally struct {
	Leaves int    `msgpack:"l"`
	Sum    int64  `msgpack:"s"`
	Hash   uint64 `msgpack:"h"`
	Each   []leaf `msgpack:"e,omitempty"`
}

func (s *tally) add(l leaf) {
	s.Leaves++
	s.Sum += l.V
	s.Hash += mix(mix(uint64(l.N)) ^ uint64(l.V))
}

func (s *tally) items() map[string]string {
	return map[string]string{
		"leaves": strconv.Itoa(s.Leaves), "sum": strconv.FormatInt(s.Sum, 10), "hash": strconv.FormatUint(s.Hash, 16),
	}
}

// Process is the first task, a branch or a leaf.
func (f fan) Process(ctx context.Context, t *mapreduce.Task) (v any, err error) {
	err = f.do(ctx, t, func() (err error) { v, err = f.process(ctx, t); return err })
	return v, err
}

func (f fan) process(ctx context.Context, t *mapreduce.Task) (any, error) {
	var p fanParams
	if err := params(t, &p); err != nil {
		return nil, err
	}
	var n int
	if err := t.Decode(&n); err != nil {
		return nil, err
	}
	switch {
	case t.Name == "leaf":
		if p.Flaky > 0 && t.Attempt == 1 && n%p.Flaky == 0 {
			return nil, errors.New("work: the first attempt has no luck")
		}
		return leaf{n, valueOf(n)}, rest(ctx, p.Rest, n)
	case t.Parent == "" && p.Branches > 0:
		return nil, emit(t, "branch", 0, p.Branches)
	}
	return nil, emit(t, "leaf", n*p.Leaves, p.Leaves)
}

func emit(t *mapreduce.Task, name string, first, n int) error {
	for i := range n {
		if err := t.Emit(name, first+i); err != nil {
			return err
		}
	}
	return nil
}

// Reduce adds up what the leaves returned.
func (f fan) Reduce(ctx context.Context, t *mapreduce.Task, results iter.Seq[mapreduce.Result]) (v any, err error) {
	err = f.do(ctx, t, func() (err error) { v, err = f.reduce(t, results); return err })
	return v, err
}

func (fan) reduce(t *mapreduce.Task, results iter.Seq[mapreduce.Result]) (sum tally, err error) {
	var p fanParams
	if err := params(t, &p); err != nil {
		return sum, err
	}
	for r := range results {
		l := leaf{N: -1} // those that emit return nothing
		if err := r.Decode(&l); err != nil {
			return sum, err
		}
		if l.N < 0 {
			continue
		}
		sum.add(l)
		if !p.Brief {
			sum.Each = append(sum.Each, l)
		}
	}
	return sum, nil
}

// readEach reads what each leaf returned, and that the sums fit it.
func readEach(ctx context.Context, out mapreduce.Output, got *Got) error {
	sum, err := mapreduce.Value[tally](ctx, out)
	if err != nil {
		return err
	}
	var again tally
	for _, l := range sum.Each {
		again.add(l)
		got.Items = append(got.Items, item(l.N, l.V))
	}
	if again.Leaves != sum.Leaves || again.Sum != sum.Sum || again.Hash != sum.Hash {
		return fmt.Errorf("work: the sums of %d leaves do not fit: the Reduce has %d, %d and %x, want %d, %d and %x",
			len(sum.Each), sum.Leaves, sum.Sum, sum.Hash, again.Leaves, again.Sum, again.Hash)
	}
	return nil
}

func readSums(ctx context.Context, out mapreduce.Output, got *Got) error {
	sum, err := mapreduce.Value[tally](ctx, out)
	for key, value := range sum.items() {
		got.Items = append(got.Items, verdict.Item{Key: key, Value: value})
	}
	return err
}
