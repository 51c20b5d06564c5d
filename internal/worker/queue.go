package worker

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// run is what the worker has of one run, in one epoch. All of it is guarded by
// the worker's mu except for what never changes, and traced.
type run struct {
	id      job.RunID
	epoch   uint64
	created time.Time
	via     any // see TakeAll

	limit  int      // attempts at a time
	queue  []*batch // by rank, and then as they came; none is empty
	queued int      // tasks in it
	active []*attempt
	strays int // attempts that were abandoned and have not returned
	busy   bool
	over   bool // fenced or forgotten: nobody wants to hear of it

	// taken are the attempts that were taken and whose outcome the host has
	// not been seen to accept yet.
	taken taken

	unreported []job.Outcome
	backlog    int64   // bytes of results in it
	sent       *Report // that is not Done; nil if there is none
	sizes      int     // how many outcomes the last report had

	traced [2]atomic.Int32 // attempts that have a span: first ones, and later ones

	pace  time.Duration // how long an attempt takes, lately
	total Totals

	next   [lanes]*run // in the lanes of the ring
	inLane [lanes]bool

	// What a run of one task needs is part of it.
	room struct {
		queue  [1]*batch
		active [1]*attempt
		report Report // the first
	}
}

// batch is a job.Batch that is being worked off.
type batch struct {
	job.Batch
	rank      rank
	processor *processor

	once   sync.Once // of what follows
	cuts   sharding.Ranges
	cutErr error
}

// ranges returns where the partitions of a sorted run are cut. They are decoded
// when the first task asks for them.
func (b *batch) ranges() (sharding.Ranges, error) {
	b.once.Do(func() { b.cuts, b.cutErr = decodeBounds(b.Before) })
	return b.cuts, b.cutErr
}

// rank says which tasks go ahead of which. What was lost with another worker had
// a slot there and goes ahead of other runs as well; what is tried again goes
// ahead of the tasks of its run that nobody has waited for yet.
type rank uint8

const (
	lost rank = iota
	again
	fresh
	ranks = iota
)

func rankOf(t *job.Task, wasLost bool) rank {
	switch {
	case wasLost:
		return lost
	case t.Attempt > 1:
		return again
	}
	return fresh
}

func newRun(id job.RunID, epoch uint64, created time.Time) *run {
	r := &run{id: id, epoch: epoch, created: created}
	r.queue, r.active = r.room.queue[:0], r.room.active[:0]
	return r
}

// maxBacklog is how many bytes of results may wait for the host before a run
// starts no more attempts. It bounds the memory that a slow master costs.
const maxBacklog = 16 << 20

// startable returns how many attempts could start now, if there were slots.
func (r *run) startable() int {
	if r.backlog >= maxBacklog {
		return 0
	}
	return min(r.queued, r.limit-len(r.active))
}

// add queues a batch.
func (r *run) add(b *batch) {
	at := len(r.queue)
	if behind := slices.IndexFunc(r.queue, func(o *batch) bool { return o.rank > b.rank }); behind >= 0 {
		at = behind
	}
	r.queue = slices.Insert(r.queue, at, b)
	r.queued += len(b.Tasks)
}

// first takes the first task off the queue.
func (r *run) first() (*batch, *job.Task) {
	b := r.queue[0]
	t := &b.Tasks[0]
	if b.Tasks = b.Tasks[1:]; len(b.Tasks) == 0 {
		r.queue[0] = nil
		r.queue = r.queue[1:]
	}
	r.queued--
	return b, t
}

// ring is the runs that could start an attempt, in the order of their turns.
// Those with tasks that were lost have a lane of their own, which goes first. A
// run may be in both: what it starts when it has a turn is the first it has.
type ring [lanes]struct{ head, tail *run }

const (
	ahead = iota
	behind
	lanes
)

func (q *ring) empty() bool { return q[ahead].head == nil && q[behind].head == nil }

// push gives r the last turn of its lane, if it could use one and has none.
func (q *ring) push(r *run) {
	if r.startable() < 1 {
		return
	}
	n := behind
	if r.queue[0].rank == lost {
		n = ahead
	}
	if r.inLane[n] {
		return
	}
	r.inLane[n], r.next[n] = true, nil
	if q[n].tail == nil {
		q[n].head = r
	} else {
		q[n].tail.next[n] = r
	}
	q[n].tail = r
}

// pop returns the run whose turn it is, or nil.
func (q *ring) pop() *run {
	for n := range q {
		r := q[n].head
		if r == nil {
			continue
		}
		if q[n].head = r.next[n]; q[n].head == nil {
			q[n].tail = nil
		}
		r.inLane[n], r.next[n] = false, nil
		return r
	}
	return nil
}

// startLocked makes a the attempt at the next task that has its turn, and
// reports whether there is one.
func (w *Worker) startLocked(a *attempt, now time.Time) bool {
	for r := w.ready.pop(); r != nil; r = w.ready.pop() {
		if r.startable() < 1 {
			continue // since it got into the ring something was cancelled
		}
		a.run = r
		a.batch, a.what = r.first()
		a.began = now
		a.at = len(r.active)
		r.active = append(r.active, a)
		w.queued--
		w.running++
		w.ready.push(r)
		return true
	}
	return false
}

// leaveLocked takes a out of those that execute.
func (w *Worker) leaveLocked(a *attempt) {
	r := a.run
	last := len(r.active) - 1
	r.active[a.at] = r.active[last]
	r.active[a.at].at = a.at
	r.active[last] = nil
	r.active = r.active[:last]
	a.at = -1
	w.running--
	w.ready.push(r)
	w.busyLocked(r)
}

// busyLocked keeps count of the runs that have something to do.
func (w *Worker) busyLocked(r *run) {
	switch busy := r.queued+len(r.active) > 0; {
	case busy && !r.busy:
		w.busy++
	case !busy && r.busy:
		w.busy--
	}
	r.busy = r.queued+len(r.active) > 0
}

// lacks says what p would need to execute tasks of the kind in the run, or
// nothing if it has it.
func (p *processor) lacks(r *job.Run, kind job.Kind) string {
	keyed := r.Plan.Keyed
	switch {
	case kind != job.KindBefore && kind != job.KindMap && kind != job.KindReduce:
		return "a kind of task that this node knows"
	case keyed && p.Keyed == nil:
		return "a MapReducer behind it, as the run has keys: make it with mapreduce.Of"
	case !keyed && kind == job.KindBefore && p.Before == nil:
		return "a Before, as the run begins with one"
	case !keyed && kind == job.KindReduce && p.Reduce == nil:
		return "a Reduce, as the run ends with one"
	}
	return ""
}
