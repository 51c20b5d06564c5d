package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/musterhq/muster/internal/master"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// conductor is the shell around the master of one run: one goroutine that
// feeds it what happens, writes what it wants recorded and carries out the
// rest.
//
// What a step records and what it leads to travel together in a batch. While
// one batch is being written the next one fills, so that however much happens
// at once costs one write, and no effect is carried out before what led to it
// is durable.
type conductor struct {
	n      *Node
	run    job.Run
	m      *master.Master
	log    *slog.Logger
	began  time.Time
	ctx    context.Context // ends with the run, or with its being conducted here
	cancel context.CancelCauseFunc
	span   trace.Span
	ended  chan struct{}
	wg     sync.WaitGroup // what the conductor started

	inbox *inbox
	next  batch // collects while another is written
	busy  bool  // a batch is being written
	wrote chan error
	going batch // the one being written
	wake  *time.Timer
	seq   uint64 // of the next journal entry

	chunks   *chunks
	outboxes map[string]*outbox // by member
	files    []winner           // what successful attempts created
}

func newConductor(m *masters, run job.Run) *conductor {
	seed := sharding.Hash([]byte(run.ID))
	c := &conductor{
		n: m.n, run: run, m: master.New(&run, rand.New(rand.NewPCG(seed, run.Epoch))),
		log: m.n.log.With(telemetry.Run(run.ID)), ended: make(chan struct{}), wrote: make(chan error, 1),
		outboxes: map[string]*outbox{}, inbox: newInbox(), wake: time.NewTimer(time.Hour),
	}
	c.wake.Stop()
	c.ctx, c.cancel = context.WithCancelCause(m.ctx)
	c.chunks = newChunks(c)
	spanned, span := m.n.spans.Run(c.ctx, string(run.ID), run.Spec.Name, run.Trace)
	c.span = span
	c.run.Trace = telemetry.Inject(spanned)
	return c
}

// conduct leads the run from what its journal says to its end.
func (c *conductor) conduct() {
	defer close(c.ended)
	defer c.wg.Wait()
	defer c.cancel(nil)
	c.log.Info("run is conducted here", telemetry.Epoch(c.run.Epoch), telemetry.Processor(c.run.Spec.Processor))
	if err := c.replay(); err != nil {
		pause(c.ctx, time.Second) // whoever is next will read the same journal
		c.quit(err)
		c.refuseAll()
		c.resign()
		return
	}
	peers, stop := c.n.peers.watch(
		func(p peer) { c.inbox.put(func() { c.step(master.Joined{Member: c.candidate(p)}) }) },
		func(id string) { c.inbox.put(func() { c.step(master.Left{Member: id}) }) },
	)
	defer stop()
	c.begin(peers)
	for c.ctx.Err() == nil {
		c.write()
		select {
		case <-c.inbox.ready:
			for _, f := range c.inbox.take() {
				f()
			}
		case err := <-c.wrote:
			c.written(err)
		case <-c.wake.C:
			c.step(master.Tick{})
		case <-c.ctx.Done():
		}
	}
	c.refuseAll()
	c.resign()
}

// begin starts or continues the run with the members there are.
func (c *conductor) begin(peers []peer) {
	begin := master.Begin{Elapsed: max(time.Since(c.run.Created), 0)}
	for _, p := range peers {
		begin.Members = append(begin.Members, c.candidate(p))
	}
	c.n.peers.refresh()
	c.step(begin)
	if c.run.CancelReason != "" {
		c.step(master.Cancel{Reason: c.run.CancelReason})
	}
}

func (c *conductor) candidate(p peer) master.Member {
	return p.candidate(c.run.Spec.Processor, c.run.Plan.Version)
}

// replay tells the master what the journal holds.
func (c *conductor) replay() error {
	c.began = time.Now()
	for e, err := range c.n.journal(c.ctx, &c.run) {
		if err != nil {
			return err
		}
		c.seq = e.Seq + 1
		switch e.Kind {
		case wire.EntryTasks, wire.EntryPairs:
			if e.Task.Kind == 0 {
				c.m.Step(0, master.Tasks{Seq: e.Seq, N: e.N})
				continue
			}
			c.m.Step(0, master.Staged{
				Task: e.Task, Epoch: e.Epoch, Attempt: e.Attempt, Index: e.Index, Seq: e.Seq, N: e.N, Pairs: e.Kind == wire.EntryPairs,
			})
		case wire.EntryOutcomes:
			member := ""
			for o, err := range wire.Outcomes(e.Blob) {
				if err != nil {
					return fmt.Errorf("node: journal entry %d of %s: %w", e.Seq, c.run.ID, err)
				}
				if len(e.Members) > 0 {
					member = e.Members[0].Member
				}
				c.won(e.Epoch, &o)
				c.m.Step(0, master.Recorded{Member: member, Epoch: e.Epoch, Outcome: o})
			}
		}
	}
	return nil
}

// step tells the master what happened and sorts what it answers.
func (c *conductor) step(e master.Event) {
	for _, effect := range c.m.Step(time.Since(c.began), e) {
		c.sort(effect)
	}
}

func (c *conductor) sort(e master.Effect) {
	switch e := e.(type) {
	case master.Record:
		c.record(e)
	case master.Wake:
		c.wake.Reset(e.At - time.Since(c.began))
	default:
		c.next.effects = append(c.next.effects, e)
	}
}
