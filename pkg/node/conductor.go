package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
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
	// placed, if it is set, is the worker that has the first attempt at the
	// run's only task already.
	placed *peer
	there  bool           // it has said so
	wg     sync.WaitGroup // what the conductor started

	inbox *inbox
	next  batch // collects while another is written
	busy  bool  // a batch is being written
	wrote chan error
	going batch // the one being written
	wake  *time.Timer
	seq   uint64 // of the next journal entry

	chunks   *chunks
	outboxes map[string]*outbox  // by member
	told     map[string]struct{} // the members that had an outbox
	works    *works              // those that have one
	files    []winner            // what successful attempts created
	notes    chan string         // for the run's history
	traced   atomic.Int32        // messages with tasks that have a span
}

func newConductor(m *masters, run job.Run, s *started) *conductor {
	seed := sharding.Hash([]byte(run.ID))
	c := &conductor{
		n: m.n, run: run, m: master.New(&run, rand.New(rand.NewPCG(seed, run.Epoch))),
		log: m.n.log.With(telemetry.Run(run.ID)), ended: make(chan struct{}), wrote: make(chan error, 1),
		outboxes: map[string]*outbox{}, told: map[string]struct{}{}, works: m.works, inbox: newInbox(), wake: time.NewTimer(time.Hour),
		notes: make(chan string, maxNotes),
	}
	c.wake.Stop()
	c.ctx, c.cancel = context.WithCancelCause(m.ctx)
	c.chunks = newChunks(c)
	if s != nil {
		c.span, c.placed, c.there = s.span, s.placed, s.there
		return c
	}
	spanned, span := m.n.spans.Run(c.ctx, string(run.ID), run.Spec.Name, run.Epoch, run.Trace)
	c.span = span
	c.run.Trace = telemetry.Inject(spanned)
	return c
}

// conduct leads the run from what its journal says to its end.
func (c *conductor) conduct() {
	defer close(c.ended)
	defer func() {
		for id := range c.outboxes {
			c.works.end(id)
		}
	}()
	defer c.wg.Wait()
	defer c.cancel(nil)
	c.log.Info("run is conducted here", telemetry.Epoch(c.run.Epoch), telemetry.Processor(c.run.Spec.Processor))
	if c.run.Unplanned != "" {
		c.end(master.Finish{State: job.Failed, Reason: "it could not be planned when it was due: " + c.run.Unplanned})
		c.refuseAll()
		c.resign() // unless it has ended
		return
	}
	if err := c.replay(); err != nil {
		pause(c.ctx, time.Second) // whoever is next will read the same journal
		c.quit(err)
		c.refuseAll()
		c.resign()
		return
	}
	peers, stop := c.n.peers.watch(
		func(p peer) { c.inbox.put(func() { c.joined(p) }) },
		func(p peer) { c.inbox.put(func() { c.left(p.member.ID) }) },
	)
	defer stop()
	c.wg.Go(c.noteAll)
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
	c.handOver()
	c.resign()
}

// begin starts or continues the run with the members there are. How old the
// run is it takes from the wall clock: that of this node and that of the node
// which created the run are trusted to agree, and no other is.
func (c *conductor) begin(now []peer) {
	peers := now
	if c.placed != nil {
		// With nobody else to choose the master places the attempt where it is,
		// under the same number. The worker takes an attempt once.
		peers = []peer{*c.placed}
	}
	since := c.run.Created
	if c.run.NotBefore.After(since) {
		since = c.run.NotBefore
	}
	begin := master.Begin{Elapsed: max(c.n.wall().Sub(since), 0), Canceled: c.run.CancelReason}
	for _, p := range peers {
		m := c.candidate(p)
		begin.Members = append(begin.Members, m)
		c.greet(m)
	}
	c.n.peers.refresh()
	c.step(begin)
	if c.run.Epoch > 1 {
		p := c.m.Progress()
		c.noteLater(fmt.Sprintf("goes on with %d of %d tasks done", p.Done, p.Tasks))
	}
	if c.placed != nil {
		c.meetOthers(now)
	}
}

// meetOthers tells a master that began with one worker of the members there
// are, among whom that one may not be any more.
func (c *conductor) meetOthers(now []peer) {
	on, stays := c.placed.member.ID, false
	if c.there {
		c.outbox(on)
		c.next.effects = slices.DeleteFunc(c.next.effects, func(e master.Effect) bool {
			a, ok := e.(master.Assign)
			return ok && a.Member == on
		})
	}
	for _, p := range now {
		stays = stays || p.member.ID == on
		c.joined(p)
	}
	if !stays {
		c.left(on)
	}
}

func (c *conductor) joined(p peer) {
	m := c.candidate(p)
	c.greet(m)
	c.step(master.Joined{Member: m})
}

// left forgets what was on its way to a member that is gone: if it comes back
// that is somewhere else by then.
func (c *conductor) left(id string) {
	if o := c.outboxes[id]; o != nil {
		o.cancel(errGone)
		c.works.end(id)
		delete(c.outboxes, id)
	}
	c.step(master.Left{Member: id})
}

// greet tells a member which may execute attempts that an older master placed,
// or that were given up since it left, to give them up too.
func (c *conductor) greet(m master.Member) {
	if m.Unfit == "" && (c.run.Epoch > 1 || c.knows(m.ID)) {
		c.outbox(m.ID)
	}
}

func (c *conductor) knows(id string) bool { _, ok := c.told[id]; return ok }

func (c *conductor) candidate(p peer) master.Member {
	m := p.candidate(c.run.Spec.Processor, c.run.Plan.Version)
	m.Life = p.member.Incarnation
	return m
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
		case wire.EntryIntent, wire.EntryLoss, wire.EntryHandover:
			tasks, err := wire.Rows(e.N, e.Blob)
			if err != nil {
				return fmt.Errorf("node: journal entry %d of %s: %w", e.Seq, c.run.ID, err)
			}
			c.m.Step(0, retold(e.Entry, tasks))
		}
	}
	return nil
}

// retold is what an entry tells the next master.
func retold(e *wire.Entry, tasks []job.TaskID) master.Event {
	switch e.Kind {
	case wire.EntryIntent:
		return master.Intended{Epoch: e.Epoch, Member: e.Member, Name: e.Name, Life: e.Life, Tasks: tasks}
	case wire.EntryLoss:
		return master.Lost{Epoch: e.Epoch, Name: e.Name, Tasks: tasks}
	}
	return master.HandedOver{Epoch: e.Epoch}
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
	case master.Intend:
		c.name(wire.Entry{Kind: wire.EntryIntent, Member: e.Member, Name: e.Name, Life: e.Life}, e.Tasks)
	case master.Lose:
		c.name(wire.Entry{Kind: wire.EntryLoss, Member: e.Member, Name: e.Name}, e.Tasks)
	case master.Wake:
		c.wake.Reset(e.At - time.Since(c.began))
	default:
		c.next.effects = append(c.next.effects, e)
	}
}
