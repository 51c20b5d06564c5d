package node

import (
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

// outbox is what goes from a conductor to one member: in order, and one
// message at a time.
type outbox struct {
	c      *conductor
	member string
	ready  chan struct{} // holds one if there is something

	misses int // messages in a row that did not arrive; the sender's alone

	mu    sync.Mutex
	queue []master.Assign // guarded by mu
}

// maxDispatch bounds the payload bytes in one message to a worker.
const maxDispatch = 1 << 20

// outbox returns the member's, and starts it if there is none yet.
func (c *conductor) outbox(member string) *outbox {
	if o := c.outboxes[member]; o != nil {
		return o
	}
	o := &outbox{c: c, member: member, ready: make(chan struct{}, 1)}
	c.outboxes[member] = o
	c.wg.Go(func() {
		for {
			select {
			case <-c.ctx.Done():
				return
			case <-o.ready:
				o.sendAll(c.ctx)
			}
		}
	})
	return o
}

func (o *outbox) put(a master.Assign) {
	o.mu.Lock()
	o.queue = append(o.queue, a)
	o.mu.Unlock()
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

func (o *outbox) take() []master.Assign {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queue
	o.queue = nil
	return q
}

// sendAll sends what waits. When a message does not arrive, none after it is
// tried: the member is as far away for those.
func (o *outbox) sendAll(ctx context.Context) {
	var stuck []master.Placed
	var why error
	for _, a := range o.take() {
		if why == nil {
			a.Tasks, why = o.send(ctx, a)
		}
		if why != nil {
			stuck = append(stuck, a.Tasks...)
		}
	}
	if why != nil {
		o.undelivered(stuck, why)
	}
}

// send delivers an assignment in as many messages as it takes. If one does not
// arrive it returns the tasks from there on.
func (o *outbox) send(ctx context.Context, a master.Assign) ([]master.Placed, error) {
	d := wire.Dispatch{Run: o.c.run, Before: a.Before}
	for _, s := range a.Sources {
		d.Sources = append(d.Sources, wire.Source{Node: s.Node, Maps: s.Maps})
	}
	for at := 0; at < len(a.Tasks); {
		d.N, d.Tasks = 0, nil
		from := at
		for ; at < len(a.Tasks) && len(d.Tasks) < maxDispatch; at++ {
			t, err := o.task(ctx, a.Tasks[at])
			if err != nil {
				return a.Tasks[from:], err
			}
			d.Tasks = wire.AppendTask(d.Tasks, &t)
			d.N++
		}
		answer, err := call[wire.Dispatched](ctx, o.c.n, o.member, wire.MethodDispatch, d)
		if err != nil {
			return a.Tasks[from:], err
		}
		o.misses = 0
		o.c.n.metrics.Placed(ctx, d.N)
		o.delivered(answer)
	}
	return nil, nil
}

// task puts the payload of a task to its name.
func (o *outbox) task(ctx context.Context, p master.Placed) (job.Task, error) {
	t := job.Task{ID: p.ID, Attempt: p.Attempt, Parent: p.Parent}
	if p.Seq == master.NoEntry {
		if p.ID.Kind == job.KindBefore {
			t.Payload = o.c.run.Plan.Sample
		}
		return t, nil
	}
	sub, err := o.c.chunks.task(ctx, p.Seq, p.At)
	t.Name, t.Payload = sub.Name, sub.Payload
	return t, err
}

func (o *outbox) delivered(d wire.Dispatched) {
	var refused []job.Outcome
	for r, err := range wire.Outcomes(d.Refused) {
		if err != nil {
			o.c.log.Error("a worker's answer can't be read", telemetry.Member(o.member), telemetry.Err(err))
			break
		}
		refused = append(refused, r)
	}
	o.c.inbox.put(func() {
		o.c.step(master.Window{Member: o.member, Tasks: d.Window})
		if len(refused) > 0 {
			o.c.step(master.Reported{Member: o.member, Outcomes: refused})
		}
	})
}

// undelivered gives tasks back, and leaves the member alone for longer each
// time in a row.
func (o *outbox) undelivered(tasks []master.Placed, err error) {
	if o.c.ctx.Err() != nil {
		return
	}
	if is(err, state.ErrFenced) {
		o.c.quit(err)
		return
	}
	o.misses++
	wait := min(100*time.Millisecond<<min(o.misses, 10), 5*time.Second)
	o.c.log.Warn("tasks did not reach a worker", telemetry.Member(o.member), slog.Int("tasks", len(tasks)), slog.Duration("again_in", wait), telemetry.Err(err))
	o.c.inbox.put(func() {
		o.c.step(master.Undelivered{Member: o.member, Tasks: tasks, Until: time.Since(o.c.began) + wait})
	})
}
