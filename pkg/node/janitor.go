package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// What a run leaves behind is made small soon after its end, and forgotten
// when the job's retention says so.

const (
	// worthCompacting is how many tasks a run must have had for its journal to
	// be worth rewriting: that of a smaller one is small.
	worthCompacting = 4096
	// sweepEvery is how often the leader looks for runs that are too old.
	sweepEvery = 10 * time.Minute
)

// clean makes room for as long as the node leads.
func (l *leader) clean() {
	l.tidied(l.tidyEnded()) // what the leader before did not get to
	l.tidied(l.sweep())
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
			l.tidied(l.sweep())
		case <-l.litter:
			// What ends within a second is cleared away together.
			if !pause(l.ctx, time.Second) {
				return
			}
			l.tidied(l.tidyEnded())
		}
	}
}

// tidyEnded compacts what has ended, and applies the retention of its jobs.
func (l *leader) tidyEnded() error {
	if err := l.compactAll(); err != nil {
		return err
	}
	jobs, err := l.state.Surplus()
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if err := l.retain(j.Namespace, j.Job, j.N, false); err != nil {
			return err
		}
	}
	return nil
}

// compactAll compacts the runs that have ended since it was called last.
func (l *leader) compactAll() error {
	for {
		ended, err := l.state.Uncompacted(queuePage)
		if err != nil || len(ended) == 0 {
			return err
		}
		for _, e := range ended {
			if err := l.compact(e.ID); err != nil {
				return err
			}
		}
	}
}

func (l *leader) tidied(err error) {
	if err != nil && l.ctx.Err() == nil {
		l.n.log.Warn("what ended runs leave behind could not be cleared away", telemetry.Err(err))
	}
}

// compact drops from the journal of a run that has succeeded what nobody will
// ask for again: the payloads of its tasks, the results that its reduce step
// has seen, and the output of attempts that did not count. A run that did not
// succeed keeps all of it, so that it can be tried again.
func (l *leader) compact(id job.RunID) error {
	run, err := l.state.Run(id)
	if is(err, state.ErrNoRun) {
		return nil // it was forgotten meanwhile
	}
	if err != nil {
		return err
	}
	if err := l.again(&run); err != nil {
		return err
	}
	if run.State == job.Succeeded && run.Progress.Tasks >= worthCompacting {
		err = l.rewrite(&run)
		if errors.Is(err, errUnreadable) { // it is not going to be readable the next time
			l.n.log.Error("the journal of a run is left as it is", telemetry.Run(id), telemetry.Err(err))
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return l.state.Compacted(l.ctx, id)
}

// errUnreadable says that a journal holds what this version does not know.
var errUnreadable = errors.New("node: a journal entry can't be read")

// rewrite makes the journal of a run small.
func (l *leader) rewrite(run *job.Run) error {
	won, err := l.winners(run)
	if err != nil {
		return err
	}
	var batch []state.Entry
	write := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := l.state.Rewrite(l.ctx, run.ID, batch)
		batch = nil
		return err
	}
	for e, err := range l.state.Journal(run.ID, 0) {
		if err != nil {
			return err
		}
		b, changed, err := compacted(run, e.Data, won)
		if err != nil {
			return fmt.Errorf("%w: %d: %w", errUnreadable, e.Seq, err)
		}
		if !changed {
			continue
		}
		if batch = append(batch, state.Entry{Seq: e.Seq, Data: b}); len(batch) == queuePage {
			if err := write(); err != nil {
				return err
			}
		}
	}
	return write()
}

// winners returns the attempts at reduce tasks that counted.
func (l *leader) winners(run *job.Run) (map[job.AttemptID]bool, error) {
	won := map[job.AttemptID]bool{}
	for e, err := range l.state.Journal(run.ID, 0) {
		if err != nil {
			return nil, err
		}
		if len(e.Data) == 0 || wire.EntryKind(e.Data[0]) != wire.EntryOutcomes {
			continue
		}
		entry, err := wire.DecodeEntry(e.Data)
		if err != nil {
			return nil, fmt.Errorf("%w: %d: %w", errUnreadable, e.Seq, err)
		}
		for o, err := range wire.Outcomes(entry.Blob) {
			if err != nil {
				return nil, fmt.Errorf("%w: %d: %w", errUnreadable, e.Seq, err)
			}
			if o.Task.Kind == job.KindReduce && o.Failure == nil {
				won[job.AttemptID{Run: run.ID, Task: o.Task, Epoch: entry.Epoch, N: o.Attempt}] = true
			}
		}
	}
	return won, nil
}

// compacted returns what is left of a journal entry.
func compacted(run *job.Run, b []byte, won map[job.AttemptID]bool) (left []byte, changed bool, err error) {
	e, err := wire.DecodeEntry(b)
	if err != nil || len(e.Blob) == 0 {
		return b, false, err
	}
	switch e.Kind {
	case wire.EntryTasks:
	case wire.EntryPairs:
		if won[job.AttemptID{Run: run.ID, Task: e.Task, Epoch: e.Epoch, N: e.Attempt}] {
			return b, false, nil
		}
	case wire.EntryOutcomes:
		if run.Plan.Reduces == 0 {
			return b, false, nil // the results are what the run returned
		}
		for o, err := range wire.Outcomes(e.Blob) {
			if err != nil || o.Task.Kind == job.KindReduce || o.Failure != nil {
				return b, false, err
			}
		}
	default:
		return b, false, nil
	}
	e.N, e.Members, e.Blob = 0, nil, nil
	left, err = wire.EncodeEntry(e)
	return left, true, err
}

// sweep applies the retention of every job.
func (l *leader) sweep() error {
	var jobs []state.JobCount
	for j, err := range l.state.FinishedJobs() {
		if err != nil {
			return err
		}
		jobs = append(jobs, j)
	}
	for _, j := range jobs {
		if err := l.retain(j.Namespace, j.Job, j.N, true); err != nil {
			return err
		}
	}
	return errors.Join(l.forgetAudit(), l.forgetOperations(), l.state.Sweep(l.ctx))
}

// retain forgets those of the n ended runs of a job that are too old or too
// many, the oldest first, each by what its own spec says. It stops at the first
// that is kept, unless it is to be thorough: behind one that is kept for long
// there may be others that are not.
func (l *leader) retain(namespace, name string, n int, thorough bool) error {
	for after := (state.Ended{}); ; {
		ended, err := l.state.Finished(namespace, name, after, queuePage)
		if err != nil || len(ended) == 0 {
			return err
		}
		var over []job.RunID
		kept := false
		for _, e := range ended {
			if !e.Keeps { // it was made by an older server
				run, err := l.state.Run(e.ID)
				if is(err, state.ErrNoRun) {
					continue
				}
				if err != nil {
					return err
				}
				e.Retain = run.Spec.Retain
			}
			keep := e.Retain.WithDefaults()
			old := keep.Age >= 0 && l.n.wall().Sub(e.At) > keep.Age
			many := keep.Runs >= 0 && n > keep.Runs
			if !old && !many {
				kept = true
				if thorough {
					continue
				}
				break
			}
			over = append(over, e.ID)
			n--
		}
		if err := l.state.ForgetAll(l.ctx, over); err != nil || kept && !thorough {
			return err
		}
		after = ended[len(ended)-1]
	}
}

// remove takes a server out of the cluster for good.
func (l *leader) remove(ctx context.Context, r wire.Renew) (wire.Nothing, error) {
	return wire.Nothing{}, l.state.Remove(ctx, r.Node)
}
