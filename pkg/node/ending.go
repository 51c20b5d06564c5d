package node

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/master"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// end records how the run ended, and tells those who worked on it.
func (c *conductor) end(f master.Finish) {
	if f.State == job.Succeeded {
		if err := c.commitFiles(); err != nil {
			f = master.Finish{State: job.Failed, Reason: err.Error()}
		}
	}
	if f.State != job.Succeeded {
		c.callOff()
		c.dropFiles()
	}
	p := c.m.Progress()
	err := c.persist(wire.MethodFinish, wire.Finish{Run: c.run.ID, Epoch: c.run.Epoch, State: f.State, Reason: f.Reason, Progress: p})
	if err != nil {
		c.quit(err)
		return
	}
	c.log.Info("run ended", telemetry.State(f.State), slog.String("reason", f.Reason),
		slog.Int("tasks", p.Tasks), slog.Int("attempts", p.Attempts), telemetry.Took(time.Since(c.began)))
	c.n.ended(&c.run, f.State)
	c.forget()
	if f.State == job.Succeeded {
		telemetry.End(c.span, nil)
	} else {
		telemetry.End(c.span, &RunError{ID: c.run.ID, State: f.State, Reason: f.Reason})
	}
	c.cancel(errRunOver)
}

// callOff cancels the attempts of a run that creates files, so that they leave
// none behind when those are dropped.
func (c *conductor) callOff() {
	if c.run.Spec.Output.Dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, describeTimeout)
	defer cancel()
	var told sync.WaitGroup
	defer told.Wait()
	for member := range c.told {
		told.Go(func() {
			recall := wire.Recall{Run: c.run.ID, Epoch: c.run.Epoch, Reason: "the run has ended"}
			if _, err := call[wire.Nothing](ctx, c.n, member, wire.MethodRecall, recall); err != nil {
				c.log.Debug("attempts could not be called off", telemetry.Member(member), telemetry.Err(err))
			}
		})
	}
}

// forget tells those who worked on the run that it is over, and then removes
// what attempts have staged since its files were put in place or dropped.
func (c *conductor) forget() {
	var told sync.WaitGroup
	defer c.n.wg.Go(func() {
		told.Wait()
		c.dropFiles()
	})
	for member := range c.told {
		told.Go(func() {
			ctx, cancel := context.WithTimeout(c.n.ctx, describeTimeout)
			defer cancel()
			ref := wire.RunRef{Run: c.run.ID, Epoch: c.run.Epoch}
			if _, err := call[wire.Nothing](ctx, c.n, member, wire.MethodForget, ref); err != nil {
				c.log.Debug("a worker could not be told that the run is over", telemetry.Member(member), telemetry.Err(err))
			}
		})
	}
}

// dismissed stops to conduct a run that the leader has ended.
func (c *conductor) dismissed(reason string) {
	if c.ctx.Err() != nil {
		return
	}
	c.log.Info("run was ended", slog.String("reason", reason))
	c.dropFiles()
	c.forget()
	c.cancel(errRunOver)
}

var errRunOver = &coded{"over", "node: the run is over"}

// quit stops to conduct the run without ending it.
func (c *conductor) quit(err error) {
	if c.ctx.Err() == nil {
		c.log.Warn("run is not conducted here any more", telemetry.Err(cmp.Or(err, error(errNoMaster))))
	}
	c.cancel(cmp.Or(err, error(errNoMaster)))
}

// handOver writes that this master ended in good order: whatever was placed
// where it lives was given back or goes on. Without that the next master takes
// it for lost if the member is gone.
func (c *conductor) handOver() {
	if c.isOver() {
		return
	}
	if c.busy {
		if err := <-c.wrote; err != nil {
			return // what the journal holds is not known
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), describeTimeout)
	defer cancel()
	b, err := wire.EncodeEntry(&wire.Entry{Kind: wire.EntryHandover, Epoch: c.run.Epoch})
	if err == nil {
		j := wire.Journal{Run: c.run.ID, Epoch: c.run.Epoch, First: c.seq - uint64(len(c.next.entries)), Entries: [][]byte{b}}
		_, err = lead[wire.Nothing](ctx, c.n, wire.MethodAppend, j)
	}
	if err != nil && !is(err, state.ErrFenced) && !is(err, state.ErrFinal) {
		c.log.Warn("a run could not be handed over in good order", telemetry.Err(err))
	}
}

// isOver reports whether the run has ended or has another master.
func (c *conductor) isOver() bool {
	cause := context.Cause(c.ctx)
	return is(cause, errRunOver) || is(cause, state.ErrFenced) || is(cause, state.ErrFinal) || is(cause, state.ErrNoRun)
}

// refuseAll answers whoever still waits.
func (c *conductor) refuseAll() {
	c.inbox.close()
	for _, f := range c.inbox.take() {
		f()
	}
	c.answer(c.going, errNoMaster)
	c.answer(c.next, errNoMaster)
}

// resign tells the leader that the run needs another master, unless it is over
// or has one. As long as this node lives nobody else would notice, so it goes
// on with that when the leader can't be told at once.
func (c *conductor) resign() {
	cause := context.Cause(c.ctx)
	telemetry.End(c.span, cause) // does nothing if the run is over
	if c.isOver() || c.n.isStopping() && !c.n.othersWork() {
		return // nobody needs to, or can, go on with it
	}
	tell := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, describeTimeout)
		defer cancel()
		_, err := lead[wire.Nothing](ctx, c.n, wire.MethodResign, wire.RunRef{Run: c.run.ID, Epoch: c.run.Epoch, Reason: bare(cause).Error()})
		if is(err, state.ErrNoRun) {
			return nil // it was removed
		}
		return err
	}
	if err := tell(context.WithoutCancel(c.ctx)); err != nil {
		c.log.Warn("the leader could not be told yet that the run needs another master", telemetry.Err(err))
		c.n.wg.Go(func() {
			for pause(c.n.ctx, time.Second) && tell(c.n.ctx) != nil {
			}
		})
	}
}
