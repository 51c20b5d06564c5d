package node

import (
	"context"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/master"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// report takes in how attempts ended on a worker, and returns when what counts
// of it is durable.
func (c *conductor) report(ctx context.Context, from string, r wire.Report) error {
	if r.Epoch != c.run.Epoch {
		return state.ErrFenced
	}
	outcomes := r.Given
	if outcomes == nil {
		var err error
		if outcomes, err = wire.AllOutcomes(r.N, r.Outcomes); err != nil {
			return err
		}
	}
	return c.ask(ctx, func(ack func(error)) {
		c.step(master.Window{Member: from, Tasks: r.Window})
		c.step(master.Reported{Member: from, Outcomes: outcomes})
		c.next.acks = append(c.next.acks, ack)
	})
}

// maxUnwritten bounds the bytes of chunks that were taken in and are not durable.
const maxUnwritten = 2 << 20

// stage takes in a chunk that an attempt hands over, and returns when it is going
// to be durable before anything that the attempt reports from then on: the journal
// is written in order, and a master that is replaced meanwhile hears of no outcome.
// So an attempt has not to wait for the disk with each of its chunks, as long as
// few wait for that.
func (c *conductor) stage(ctx context.Context, s wire.Staged) error {
	if s.Epoch != c.run.Epoch {
		return state.ErrFenced
	}
	if s.Kind != wire.EntryTasks && s.Kind != wire.EntryPairs || s.N < 1 || s.Kind == wire.EntryTasks && s.N > wire.ChunkTasks {
		return fmt.Errorf("node: a chunk of kind %q with %d entries from %v", s.Kind, s.N, s.Task)
	}
	var tasks []job.Subtask
	if s.Kind == wire.EntryTasks {
		var err error
		if tasks, err = unpack(s.N, s.Blob); err != nil {
			return err
		}
	}
	return c.ask(ctx, func(ack func(error)) {
		e := wire.Entry{Kind: s.Kind, N: s.N, Task: s.Task, Epoch: s.Epoch, Attempt: s.Attempt, Index: s.Index, Blob: s.Blob}
		staged := master.Staged{Task: s.Task, Epoch: s.Epoch, Attempt: s.Attempt, Index: s.Index, Seq: c.seq, N: s.N, Pairs: s.Kind == wire.EntryPairs}
		for _, effect := range c.m.Step(time.Since(c.began), staged) {
			switch effect := effect.(type) {
			case master.Keep:
				c.append(&e)
				if e.Kind == wire.EntryTasks {
					c.chunks.add(staged.Seq, tasks, len(e.Blob))
				}
			case master.Refuse:
				ack(&coded{errRefused.code, "node: " + effect.Reason})
				return
			default:
				c.sort(effect)
			}
		}
		if c.going.bytes+c.next.bytes <= maxUnwritten {
			ack(nil)
			return
		}
		c.next.acks = append(c.next.acks, ack)
	})
}

// ask lets f run on the conductor's goroutine, and waits until f's ack is
// called.
func (c *conductor) ask(ctx context.Context, f func(ack func(error))) error {
	answer := make(chan error, 1)
	ack := func(err error) {
		select {
		case answer <- err:
		default:
		}
	}
	put := c.inbox.put(func() {
		if c.ctx.Err() != nil {
			ack(errNoMaster)
			return
		}
		f(ack)
	})
	if !put {
		return errNoMaster
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *conductor) progress(ctx context.Context) (job.Progress, error) {
	now := make(chan job.Progress, 1)
	if err := c.ask(ctx, func(ack func(error)) { now <- c.m.Progress(); ack(nil) }); err != nil {
		return job.Progress{}, err
	}
	return <-now, nil
}

func (c *conductor) cancelRun(ctx context.Context, reason string) error {
	return c.ask(ctx, func(ack func(error)) {
		c.step(master.Cancel{Reason: reason})
		c.next.acks = append(c.next.acks, ack)
	})
}
