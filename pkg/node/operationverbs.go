package node

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// doAll does to runs or jobs what an operation says, and returns an error for
// each.
func (l *leader) doAll(o *job.Operation, names []string) []error {
	verb, reason := o.Bulk.Verb, cmp.Or(o.Bulk.Reason, "operation "+o.ID)
	switch verb {
	case job.BulkCancel, job.BulkStop:
		return l.cancelAll(names, reason, verb == job.BulkStop)
	case job.BulkRetry, job.BulkRetryAll:
		return several(names, func(name string) error {
			_, err := l.retry(l.ctx, wire.Retry{Run: job.RunID(name), All: verb == job.BulkRetryAll})
			return err
		})
	}
	do := map[job.Verb]func(context.Context, wire.JobRef) (wire.Nothing, error){
		job.BulkPause: l.pauseJob, job.BulkResume: l.resumeJob, job.BulkDelete: l.deleteJob,
	}[verb]
	return several(names, func(name string) error {
		if do == nil {
			return fmt.Errorf("node: this leader does not know the verb %q: upgrade it", verb)
		}
		_, err := do(l.ctx, wire.JobRef{Namespace: o.Bulk.Namespace, Name: name, Reason: reason})
		return err
	})
}

// cancelAll is cancelRun for many runs.
func (l *leader) cancelAll(names []string, reason string, now bool) []error {
	errs, ids, over := make([]error, len(names)), make([]job.RunID, len(names)), make([]job.RunID, 0, len(names))
	for i, name := range names {
		ids[i] = job.RunID(name)
	}
	for i, c := range l.state.CancelAll(l.ctx, ids, reason, now) {
		run := c.Run
		switch {
		case c.Err != nil:
			errs[i] = c.Err
		case c.Over:
		case run.State.Done():
			l.came(&run) // if it was the first in its line, another is
			l.n.ended(&run, run.State)
			over = append(over, run.ID)
			if run.Master != "" {
				l.wg.Go(func() { l.dismiss(&run) })
			}
		default:
			l.wg.Go(func() { l.enforce(run, cancelGrace) })
		}
	}
	if len(over) > 0 {
		l.ended(over...)
	}
	return errs
}

// several does something for each name, for some at a time, and returns an error
// for each.
func several(names []string, do func(name string) error) []error {
	errs, next := make([]error, len(names)), make(chan int)
	var wg sync.WaitGroup
	for range min(severalAtOnce, len(names)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = do(names[i])
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	return errs
}
