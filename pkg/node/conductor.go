package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/musterhq/muster/internal/master"
	"github.com/musterhq/muster/internal/state"
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

// batch is journal entries and what may happen when they are durable.
type batch struct {
	entries [][]byte
	acks    []func(error)
	effects []master.Effect
}

func (b *batch) empty() bool { return len(b.entries)+len(b.acks)+len(b.effects) == 0 }

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

// resign tells the leader that the run needs another master, unless it is over
// or has one.
func (c *conductor) resign() {
	cause := context.Cause(c.ctx)
	telemetry.End(c.span, cause) // does nothing if the run is over
	if is(cause, errRunOver) || is(cause, state.ErrFenced) || is(cause, state.ErrFinal) || is(cause, state.ErrNoRun) || c.n.leader != nil && c.n.isStopping() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), describeTimeout)
	defer cancel()
	if _, err := lead[wire.Nothing](ctx, c.n, wire.MethodResign, wire.RunRef{Run: c.run.ID, Epoch: c.run.Epoch}); err != nil {
		c.log.Warn("the leader could not be told that the run needs another master", telemetry.Err(err))
	}
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
	for e, err := range c.n.journal(c.ctx, c.run.ID) {
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

// record puts outcomes into the next batch.
func (c *conductor) record(r master.Record) {
	e := wire.Entry{Kind: wire.EntryOutcomes, Epoch: c.run.Epoch, N: len(r.Outcomes), Members: []wire.MemberCount{{Member: r.Member, N: len(r.Outcomes)}}}
	var err error
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		c.won(c.run.Epoch, o)
		if e.Blob, err = wire.AppendOutcome(e.Blob, o); err != nil {
			c.quit(err)
			return
		}
	}
	c.append(&e)
}

// append puts an entry into the next batch.
func (c *conductor) append(e *wire.Entry) {
	b, err := wire.EncodeEntry(e)
	if err != nil {
		c.quit(err)
		return
	}
	c.next.entries = append(c.next.entries, b)
	c.seq++
}

// write begins to write the next batch, unless one is being written.
func (c *conductor) write() {
	if c.busy || c.next.empty() {
		return
	}
	c.going, c.next, c.busy = c.next, batch{}, true
	if len(c.going.entries) == 0 {
		c.written(nil)
		return
	}
	first := c.seq - uint64(len(c.going.entries))
	j := wire.Journal{Run: c.run.ID, Epoch: c.run.Epoch, First: first, Entries: c.going.entries}
	c.wg.Go(func() { c.wrote <- c.persist(wire.MethodAppend, j) })
}

// persist writes to the state, however long that takes.
func (c *conductor) persist(method string, message any) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		_, err := lead[wire.Nothing](c.ctx, c.n, method, message)
		if err == nil || is(err, state.ErrFenced) || is(err, state.ErrFinal) || is(err, state.ErrNoRun) {
			return err
		}
		c.log.Warn("the state does not take what the run records", slog.String("method", method), telemetry.Err(err))
		select {
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		case <-time.After(wait):
		}
	}
}

// written carries out what waited for the batch.
func (c *conductor) written(err error) {
	c.busy = false
	b := c.going
	c.going = batch{}
	if err != nil {
		c.answer(b, err)
		c.quit(err)
		return
	}
	c.answer(b, nil)
	for _, e := range b.effects {
		c.carryOut(e)
	}
}

func (c *conductor) answer(b batch, err error) {
	for _, ack := range b.acks {
		ack(err)
	}
}

func (c *conductor) carryOut(e master.Effect) {
	switch e := e.(type) {
	case master.Assign:
		c.outbox(e.Member).put(e)
	case master.Recall:
		recall := wire.Recall{Run: c.run.ID, Epoch: c.run.Epoch, Tasks: e.Tasks, Reason: "another attempt at the task was first"}
		c.wg.Go(func() {
			if _, err := call[wire.Nothing](c.ctx, c.n, e.Member, wire.MethodRecall, recall); err != nil {
				c.log.Debug("tasks could not be recalled", telemetry.Member(e.Member), telemetry.Err(err))
			}
		})
	case master.Finish:
		c.end(e)
	}
}

// end records how the run ended, and tells those who worked on it.
func (c *conductor) end(f master.Finish) {
	if f.State == job.Succeeded {
		if err := c.commitFiles(); err != nil {
			f = master.Finish{State: job.Failed, Reason: err.Error()}
		}
	} else {
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
	for member := range c.outboxes {
		c.n.wg.Go(func() {
			ctx, cancel := context.WithTimeout(c.n.ctx, describeTimeout)
			defer cancel()
			ref := wire.RunRef{Run: c.run.ID, Epoch: c.run.Epoch}
			if _, err := call[wire.Nothing](ctx, c.n, member, wire.MethodForget, ref); err != nil {
				c.log.Debug("a worker could not be told that the run is over", telemetry.Member(member), telemetry.Err(err))
			}
		})
	}
	if f.State == job.Succeeded {
		telemetry.End(c.span, nil)
	} else {
		telemetry.End(c.span, &RunError{ID: c.run.ID, State: f.State, Reason: f.Reason})
	}
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

// refuseAll answers whoever still waits.
func (c *conductor) refuseAll() {
	c.inbox.close()
	for _, f := range c.inbox.take() {
		f()
	}
	c.answer(c.going, errNoMaster)
	c.answer(c.next, errNoMaster)
}

// report takes in how attempts ended on a worker, and returns when what counts
// of it is durable.
func (c *conductor) report(ctx context.Context, from string, r wire.Report) error {
	if r.Epoch != c.run.Epoch {
		return state.ErrFenced
	}
	var outcomes []job.Outcome
	for o, err := range wire.Outcomes(r.Outcomes) {
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
	}
	return c.ask(ctx, func(ack func(error)) {
		c.step(master.Window{Member: from, Tasks: r.Window})
		c.step(master.Reported{Member: from, Outcomes: outcomes})
		c.next.acks = append(c.next.acks, ack)
	})
}

// stage takes in a chunk that an attempt hands over, and returns when it is
// durable.
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
