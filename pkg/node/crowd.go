package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/musterhq/muster/internal/roll"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// crowd conducts small runs together: those of one task, of which nothing is
// known to have gone wrong. Their tasks go to workers in groups, and how they
// ended is recorded in groups. A run that takes the usual course is nothing
// more than its place here: it has no goroutine, and its journal is read by
// nobody.
//
// Whatever else happens to a run is beyond the crowd. The run leaves it and gets
// a conductor, in the same epoch, which begins as if it had placed the first
// attempt where that is: the attempt keeps its number and its worker, which
// takes an attempt only once, so that two can't be mixed. From then on all is as
// for any other run.
//
// All of it is guarded by the mu of masters.
type crowd struct {
	m       *masters
	runs    roll.Of[*small]
	waiting map[code][]*small // not placed yet, in order; some may have left
	places  map[string]*place // by member

	ended     []*small // to be recorded
	recording bool
	watching  bool

	endedBytes int // of those
	rush       *rush

	busy  int           // runs that are at a worker, or about to be recorded
	quiet chan struct{} // if it is not nil, closed when none is
}

// code is what a worker needs to have for a run.
type code struct{ processor, version string }

// small is one of the crowd.
type small struct {
	run   *job.Run // which the leader and its worker may have too
	span  trace.Span
	began time.Time
	at    *place // where its attempt is; nil if it is at no worker
	there bool   // the worker has said that it is

	// Once the attempt has succeeded nothing but its record is left to do, so
	// that the run can't leave any more.
	outcome []byte // as its worker has reported it
	by      string // the member whose it is
	settled *settling
	fate    wire.Fate
}

// settling is the runs of one report whose fate is not known yet.
type settling struct {
	left int
	done chan struct{} // closed when there are none
}

// place is a member that executes tasks of the crowd.
type place struct {
	peer    peer
	out     int // tasks it has
	window  int // tasks it is ready to hold
	next    []*small
	sending bool
}

func (p *place) id() string { return p.peer.member.ID }

func newCrowd(m *masters) *crowd {
	return &crowd{m: m, waiting: map[code][]*small{}, places: map[string]*place{}}
}

// isSmall reports whether a run is one for the crowd: a single task without a
// payload that may go to any worker, has no time limit that its master enforces
// and leaves no files; and nobody has worked on it yet.
func isSmall(r *job.Run) bool {
	return r.Epoch == 1 && r.Of == "" && r.CancelReason == "" && r.Unplanned == "" && isUsual(r)
}

// isUsual reports whether a run is one for the crowd as far as its spec and plan
// say.
func isUsual(r *job.Run) bool {
	s, p := &r.Spec, &r.Plan
	place := &s.Placement
	return s.Mode == job.Standalone && p.Chunks == 1 && p.Roots == 1 && p.Reduces == 0 && !p.Before && !p.Keyed &&
		s.AttemptTimeout == 0 && s.TaskTimeout == 0 && s.RunTimeout == 0 && s.Output.Dir == "" &&
		place.Strategy == "" && place.Affinity == "" && len(place.Nodes)+len(place.Tags) == 0 &&
		place.MinCPU == 0 && place.MinMemory == 0 && place.MinDisk == 0 && place.MaxWorkers == 0
}

// takeLocked makes a run one of the crowd, if it is one for it. It may be told
// of a run twice.
func (c *crowd) takeLocked(run *job.Run, now time.Time) bool {
	if c.runs.At(run.ID) != nil && run.Epoch == 1 {
		return true
	}
	if !isSmall(run) || c.m.runs[run.ID] != nil {
		if s := c.runs.At(run.ID); s != nil && s.outcome == nil { // it has another epoch now
			c.removeLocked(s)
		}
		return false
	}
	c.watch()
	ctx, span := c.m.n.spans.Run(c.m.ctx, string(run.ID), run.Spec.Name, run.Epoch, run.Trace)
	if trace := telemetry.Inject(ctx); trace != nil || run.Trace != nil {
		run = new(*run) // the leader has it too
		run.Trace = trace
	}
	s := &small{run: run, span: span, began: now}
	c.runs.Put(run.ID, s)
	k := code{run.Spec.Processor, run.Plan.Version}
	c.waiting[k] = append(c.waiting[k], s)
	return true
}

// watch has the crowd hear of members that come and go.
func (c *crowd) watch() {
	if c.watching {
		return
	}
	c.watching = true
	_, stop := c.m.n.peers.watch(
		func(peer) { c.with(c.placeLocked) },
		func(p peer) { c.with(func() { c.leftLocked(p.member.ID) }) },
	)
	context.AfterFunc(c.m.ctx, stop)
}

// with does something as long as this node conducts runs.
func (c *crowd) with(do func()) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.m.ctx.Err() == nil {
		do()
	}
}

// removeLocked takes a run out of the crowd.
func (c *crowd) removeLocked(s *small) {
	c.giveUpLocked(s)
	if s.outcome != nil {
		c.restLocked()
	}
	c.runs.Delete(s.run.ID)
}

// giveUpLocked notes that nothing more is expected of the worker that a run's
// attempt is at.
func (c *crowd) giveUpLocked(s *small) {
	if s.at != nil {
		c.vacateLocked(s)
		c.restLocked()
	}
}

// restLocked notes that one run less is busy.
func (c *crowd) restLocked() {
	if c.busy--; c.busy == 0 && c.quiet != nil {
		close(c.quiet)
		c.quiet = nil
	}
}

// quietLocked returns a channel that is closed when no run is busy any more, or
// nil if none is.
func (c *crowd) quietLocked() <-chan struct{} {
	if c.busy == 0 {
		return nil
	}
	if c.quiet == nil {
		c.quiet = make(chan struct{})
	}
	return c.quiet
}

// vacateLocked notes that the attempt at a run's task is at no worker any more.
func (c *crowd) vacateLocked(s *small) {
	if p := s.at; p != nil {
		s.at, s.there = nil, false
		if p.out--; p.out == 0 {
			c.m.works.end(p.id())
		}
	}
}

// leaveLocked gives a run a conductor.
func (c *crowd) leaveLocked(s *small) *conductor {
	begun := &started{span: s.span}
	if s.at != nil {
		begun.placed, begun.there = &s.at.peer, s.there
	}
	c.removeLocked(s)
	return c.m.conductLocked(*s.run, begun)
}

// leftLocked has the runs leave that are at a member which is gone.
func (c *crowd) leftLocked(member string) {
	delete(c.places, member)
	for _, s := range c.runs.All() {
		if s.at != nil && s.at.id() == member {
			c.leaveLocked(s)
		}
	}
}

// giveAwayLocked gives the runs that are at no worker back to the leader. What
// is at one comes to its end, or back, by itself.
func (c *crowd) giveAwayLocked() {
	var refs []wire.RunRef
	for id, s := range c.runs.All() {
		if s.at == nil && s.outcome == nil {
			refs = append(refs, wire.RunRef{Run: id, Epoch: s.run.Epoch, Reason: errHandedOver.Error()})
			telemetry.End(s.span, errHandedOver)
			c.removeLocked(s)
		}
	}
	if len(refs) > 0 {
		c.busy++ // until the leader knows
		c.m.wg.Go(func() {
			c.giveAway(refs)
			c.m.mu.Lock()
			defer c.m.mu.Unlock()
			c.restLocked()
		})
	}
}

// resignsAtOnce is of how many runs the leader is told at a time: it answers when
// the next master of one is recorded, those of many together.
const resignsAtOnce = 64

// giveAway tells the leader of runs.
func (c *crowd) giveAway(refs []wire.RunRef) {
	next := make(chan wire.RunRef)
	var telling sync.WaitGroup
	for range min(resignsAtOnce, len(refs)) {
		telling.Go(func() {
			for ref := range next {
				c.giveBack(ref)
			}
		})
	}
	for _, ref := range refs {
		next <- ref
	}
	close(next)
	telling.Wait()
}

// giveBack tells the leader of a run, for as long as this node conducts any.
func (c *crowd) giveBack(ref wire.RunRef) {
	for wait := 20 * time.Millisecond; c.m.ctx.Err() == nil; wait = min(2*wait, 2*time.Second) {
		_, err := lead[wire.Nothing](c.m.ctx, c.m.n, wire.MethodResign, ref)
		if err == nil || isSettled(err) || !pause(c.m.ctx, wait) {
			return
		}
	}
}

// placeLocked gives tasks that wait to workers that are ready for them: to this
// node first, then to whichever has the most room.
func (c *crowd) placeLocked() {
	if len(c.waiting) == 0 || c.m.ctx.Err() != nil {
		return
	}
	peers := c.m.n.peers.list()
	for k, queue := range c.waiting {
		var fit []*place
		for i := range peers {
			if m := peers[i].candidate(k.processor, k.version); m.Unfit == "" {
				fit = append(fit, c.placeOf(&peers[i]))
			}
		}
		for len(queue) > 0 {
			s := queue[0]
			if c.runs.At(s.run.ID) != s || s.at != nil {
				queue = queue[1:]
				continue
			}
			if len(fit) == 0 && c.m.n.isDraining() {
				break // it is given away, or waits for the next start
			}
			if len(fit) == 0 {
				c.leaveLocked(s) // a conductor can say what it waits for
				queue = queue[1:]
				continue
			}
			p := c.roomiest(fit)
			if p == nil {
				break
			}
			queue = queue[1:]
			if s.at = p; p.out == 0 {
				c.m.works.begin(p.id())
			}
			p.out++
			c.busy++
			p.next = append(p.next, s)
			if !p.sending {
				p.sending = true
				c.m.wg.Go(func() { c.send(p) })
			}
		}
		if c.waiting[k] = queue; len(queue) == 0 {
			delete(c.waiting, k)
		}
	}
}

// placeOf returns what is known of a member, in the life that it has now.
func (c *crowd) placeOf(k *peer) *place {
	p := c.places[k.member.ID]
	if p == nil || p.peer.member.Incarnation != k.member.Incarnation {
		p = &place{peer: *k, window: 2 * max(k.member.Slots, 1)}
		c.places[k.member.ID] = p
	}
	return p
}

func (c *crowd) roomiest(fit []*place) (best *place) {
	for _, p := range fit {
		room := p.window - p.out
		switch {
		case room <= 0:
		case p.id() == c.m.n.id:
			return p
		case best == nil || room > best.window-best.out:
			best = p
		}
	}
	return best
}

// send hands tasks to a worker for as long as there are any for it.
func (c *crowd) send(p *place) {
	for {
		group := c.next(p)
		if len(group) == 0 {
			return
		}
		runs := make([]*job.Run, len(group))
		for i, s := range group {
			runs[i] = s.run
		}
		ctx, cancel := context.WithTimeout(c.m.ctx, executeTimeout)
		answer, err := call[wire.Executing](ctx, c.m.n, p.id(), wire.MethodExecute, wire.Execute{Runs: runs})
		cancel()
		c.sent(p, group, answer, err)
	}
}

// executeTimeout bounds how long a worker may take to answer that it has tasks,
// which it does at once.
const executeTimeout = 10 * time.Second

// next takes what is to be sent to a worker off what waits for that.
func (c *crowd) next(p *place) (group []*small) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	size := 0
	for c.m.ctx.Err() == nil && len(p.next) > 0 && len(group) < maxTogether {
		s := p.next[0]
		if size += sizeOf(s.run); len(group) > 0 && size > maxDispatch {
			break
		}
		if p.next = p.next[1:]; s.at == p {
			group = append(group, s)
		}
	}
	if len(group) == 0 {
		p.sending, p.next = false, nil
	}
	return group
}

// sent takes in what became of tasks that were sent to a worker. Those of a
// message that was not answered may be there or not.
func (c *crowd) sent(p *place, group []*small, answer wire.Executing, err error) {
	c.m.n.metrics.Placed(c.m.ctx, len(group)-len(answer.Refused))
	known := c.m.n.peers.knows(p.id())
	c.with(func() {
		for _, i := range answer.Refused {
			if i >= 0 && i < len(group) && group[i].at == p && group[i].outcome == nil {
				c.giveUpLocked(group[i])
				c.leaveLocked(group[i])
			}
		}
		if err != nil {
			c.m.n.log.Warn("tasks of small runs did not reach a worker", telemetry.Member(c.m.n.nameOf(p.id())), slog.Int("tasks", len(group)), telemetry.Err(err))
		}
		if err != nil || !known { // in the latter case nobody will tell that it left
			for _, s := range group {
				if s.at == p {
					c.leaveLocked(s)
				}
			}
		} else {
			p.window = answer.Window
			for _, s := range group {
				s.there = s.at == p
			}
		}
		c.placeLocked()
	})
}

// heard notes that the attempt at a run's task is at its worker, which has just
// said something of it.
func (c *crowd) heard(id job.RunID) {
	c.with(func() {
		if s := c.runs.At(id); s != nil {
			s.there = s.at != nil
		}
	})
}

// progress returns where a run of the crowd stands.
func (c *crowd) progress(id job.RunID) (p job.Progress, ok bool) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	s := c.runs.At(id)
	if s == nil {
		return p, false
	}
	p = job.Progress{Tasks: 1, Phase: "map"}
	switch {
	case s.outcome != nil:
		p.Done, p.Attempts, p.Members = 1, 1, map[string]int{s.by: 1}
	case s.at != nil:
		p.Running = 1
	default:
		p.Waiting = c.waitsLocked(s)
	}
	return p, true
}
