package worker

import (
	"context"
	"fmt"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// work calls the user's code as the kind of the task asks for, and returns its
// encoded result.
func (a *attempt) work() ([]byte, error) {
	p, keyed := a.batch.processor, a.batch.Run.Plan.Keyed
	switch a.what.ID.Kind {
	case job.KindBefore:
		if keyed {
			return a.sample()
		}
		return a.encode(p.Before.Before(a.ctx, &a.task))
	case job.KindMap:
		if keyed {
			return nil, a.mapPairs()
		}
		return a.encode(p.code.Process(a.ctx, &a.task))
	default: // what is no reduce either was refused
		if keyed {
			return nil, a.reducePairs()
		}
		return a.encode(a.reduceResults())
	}
}

// encode returns the bytes of what the user's code returned.
func (a *attempt) encode(v any, err error) ([]byte, error) {
	if err != nil || v == nil {
		return nil, err
	}
	b, err := mapreduce.Encode(v)
	if err != nil {
		return nil, mapreduce.Permanent(fmt.Errorf("worker: result of %s: %w", a.task.ID, err))
	}
	if limit := a.w.cfg.MaxResult; int64(len(b)) > limit {
		return nil, mapreduce.Permanent(fmt.Errorf("worker: result of %s has %d bytes and may have %d: write it to a file with Task.Create and return its name", a.task.ID, len(b), limit))
	}
	return b, nil
}

// reduceResults folds the results of all tasks. If they can't be read to the
// end, what the user's code made of them does not count.
func (a *attempt) reduceResults() (any, error) {
	ctx, cancel := context.WithCancelCause(a.ctx)
	defer cancel(nil)
	var broken error
	v, err := a.batch.processor.Reduce.Reduce(ctx, &a.task, func(yield func(mapreduce.Result) bool) {
		for result, err := range a.w.host.Results(ctx, a.run.id) {
			if err != nil {
				broken = fmt.Errorf("worker: results of %s: %w", a.run.id, err)
				cancel(broken)
				return
			}
			a.Read(int64(len(result.Encoded())))
			if !yield(result) {
				return
			}
		}
	})
	if broken != nil {
		return nil, broken
	}
	return v, err
}
