package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// output reads what a run returned from its journal: once to learn which
// entries hold what counts, then those entries in the order of the tasks.
func (r *Run) output(end wire.End) mapreduce.Output {
	return mapreduce.NewOutput(func(ctx context.Context) iter.Seq2[mapreduce.Item, error] {
		if end.Run.Plan.Keyed {
			return r.pairs(ctx, &end.Run)
		}
		return r.values(ctx, &end)
	})
}

// pairs yields the pairs of a keyed run, partition by partition.
func (r *Run) pairs(ctx context.Context, run *wire.Over) iter.Seq2[mapreduce.Item, error] {
	return func(yield func(mapreduce.Item, error) bool) {
		staged := map[job.AttemptID][]uint64{}
		winner := make([]job.AttemptID, run.Plan.Reduces)
		for e, err := range r.journal(ctx, run, wire.EntryPairs, wire.EntryOutcomes) {
			if err != nil {
				yield(mapreduce.Item{}, err)
				return
			}
			if e.Kind == wire.EntryPairs {
				a := job.AttemptID{Run: r.id, Task: e.Task, Epoch: e.Epoch, N: e.Attempt}
				staged[a] = append(staged[a], e.Seq)
				continue
			}
			for o, err := range wire.Outcomes(e.Blob) {
				if err != nil {
					yield(mapreduce.Item{}, err)
					return
				}
				if o.Task.Kind == job.KindReduce && o.Failure == nil && o.Task.N < len(winner) {
					winner[o.Task.N] = job.AttemptID{Run: r.id, Task: o.Task, Epoch: e.Epoch, N: o.Attempt}
				}
			}
		}
		for n, a := range winner {
			for _, seq := range staged[a] {
				e, err := r.entry(ctx, seq)
				if err != nil {
					yield(mapreduce.Item{}, err)
					return
				}
				for item, err := range mapreduce.PairItems(a.Task.String(), n, e.Blob) {
					if !yield(item, err) || err != nil {
						return
					}
				}
			}
		}
	}
}

// values yields the result of the reduce step if there is one, else those of
// all tasks.
func (r *Run) values(ctx context.Context, end *wire.End) iter.Seq2[mapreduce.Item, error] {
	kind := job.KindMap
	if end.Run.Plan.Reduces > 0 {
		kind = job.KindReduce
	}
	if end.Few {
		return few(end, kind)
	}
	return func(yield func(mapreduce.Item, error) bool) {
		var at []uint32 // by task: one more than the number of the entry that has its outcome
		for e, err := range r.journal(ctx, &end.Run, wire.EntryOutcomes) {
			if err != nil {
				yield(mapreduce.Item{}, err)
				return
			}
			for o, err := range wire.Outcomes(e.Blob) {
				if err != nil {
					yield(mapreduce.Item{}, err)
					return
				}
				if !isResult(&o, kind) {
					continue
				}
				for len(at) <= o.Task.N {
					at = append(at, 0)
				}
				if at[o.Task.N] == 0 {
					at[o.Task.N] = uint32(e.Seq) + 1
				}
			}
		}
		lately := lately{r: r, entries: map[uint32]map[job.TaskID]job.Outcome{}}
		for n, seq := range at {
			if seq == 0 {
				continue
			}
			of, err := lately.read(ctx, seq)
			if err != nil {
				yield(mapreduce.Item{}, err)
				return
			}
			o := of[job.TaskID{Kind: kind, N: n}]
			if !yield(item(&o), nil) {
				return
			}
		}
	}
}

// few is values for a run whose outcomes came with its end.
func few(end *wire.End, kind job.Kind) iter.Seq2[mapreduce.Item, error] {
	return func(yield func(mapreduce.Item, error) bool) {
		var all []job.Outcome
		for _, b := range end.Outcomes {
			blob, err := wire.BlobOf(b)
			if err != nil {
				yield(mapreduce.Item{}, err)
				return
			}
			for o, err := range wire.Outcomes(blob) {
				if err != nil {
					yield(mapreduce.Item{}, err)
					return
				}
				if isResult(&o, kind) {
					all = append(all, o)
				}
			}
		}
		slices.SortStableFunc(all, func(a, b job.Outcome) int { return a.Task.N - b.Task.N })
		for i := range all {
			if i > 0 && all[i].Task == all[i-1].Task {
				continue // the first that was recorded is the one
			}
			if !yield(item(&all[i]), nil) {
				return
			}
		}
	}
}

// isResult reports whether o is how a task of the kind ended.
func isResult(o *job.Outcome, kind job.Kind) bool {
	return o.Task.Kind == kind && final(o) && o.Task.N < job.MaxTasks
}

// item is what a task has returned, or why it failed.
func item(o *job.Outcome) mapreduce.Item {
	item := mapreduce.Item{Task: o.Task.String(), N: o.Task.N, Value: o.Result}
	if o.Failure != nil {
		item.Err = o.Failure.Reason
	}
	return item
}

// journal reads entries of some kinds from the journal of a run that is over.
func (r *Run) journal(ctx context.Context, run *wire.Over, kinds ...wire.EntryKind) iter.Seq2[entry, error] {
	return r.n.journal(ctx, &job.Run{ID: run.ID, Epoch: run.Epoch, State: run.State}, kinds...)
}

// lately is the final outcomes in the entries read last: tasks that were done
// at about the same time have their outcomes in a few entries, in any order.
type lately struct {
	r       *Run
	entries map[uint32]map[job.TaskID]job.Outcome
	order   []uint32 // the oldest first
}

const maxLately = 64

func (l *lately) read(ctx context.Context, seq uint32) (map[job.TaskID]job.Outcome, error) {
	if of, ok := l.entries[seq]; ok {
		return of, nil
	}
	e, err := l.r.entry(ctx, uint64(seq)-1)
	if err != nil {
		return nil, err
	}
	of := make(map[job.TaskID]job.Outcome, e.N)
	for o, err := range wire.Outcomes(e.Blob) {
		if err != nil {
			return nil, err
		}
		if final(&o) {
			of[o.Task] = o
		}
	}
	if l.order = append(l.order, seq); len(l.order) > maxLately {
		delete(l.entries, l.order[0])
		l.order = l.order[1:]
	}
	l.entries[seq] = of
	return of, nil
}

func (r *Run) entry(ctx context.Context, seq uint64) (*wire.Entry, error) {
	b, err := lead[[]byte](ctx, r.n, wire.MethodEntry, wire.EntryRef{Run: r.id, Seq: seq})
	if err != nil {
		return nil, fmt.Errorf("node: result of %s: %w", r.id, err)
	}
	return wire.DecodeEntry(b)
}

// broken reports whether err says that the other node was not reached or went
// away, and not that it refused.
func broken(err error) bool {
	return errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrBroken)
}
