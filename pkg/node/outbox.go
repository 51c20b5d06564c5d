package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/musterhq/muster/internal/master"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// outbox is what goes from a conductor to one member while that is in the pool:
// in order, and one message at a time.
type outbox struct {
	c      *conductor
	member string
	ctx    context.Context // ends when the member leaves
	cancel context.CancelCauseFunc
	ready  bell // rung if there is something

	// The sender's alone.
	misses int    // messages in a row that did not arrive
	each   int    // bytes that a task took in the last message
	chunk  *chunk // that the last task was in

	mu    sync.Mutex
	queue []master.Effect // Assign and Recall; guarded by mu
}

// errGone says that a member left the pool.
var errGone = errors.New("node: the member left")

// maxDispatch bounds the payload bytes in one message to a worker.
const maxDispatch = 1 << 20

// outbox returns the member's, and starts it if there is none yet. What the
// member may have of an older master, or of the time before it left, is called
// off first.
func (c *conductor) outbox(member string) *outbox {
	if o := c.outboxes[member]; o != nil {
		return o
	}
	o := &outbox{c: c, member: member, ready: newBell()}
	o.ctx, o.cancel = context.WithCancelCause(c.ctx)
	if c.run.Epoch > 1 || c.knows(member) {
		o.put(master.Recall{Member: member, Reason: "it was placed anew"})
	}
	c.outboxes[member], c.told[member] = o, struct{}{}
	c.works.begin(member)
	c.wg.Go(func() {
		for {
			select {
			case <-o.ctx.Done():
				return
			case <-o.ready:
				o.sendAll(o.ctx)
			}
		}
	})
	return o
}

// put adds an Assign or a Recall. One that recalls everything makes the
// assignments before it needless.
func (o *outbox) put(e master.Effect) {
	var needless []master.Placed
	o.mu.Lock()
	if r, ok := e.(master.Recall); ok && len(r.Tasks) == 0 {
		o.queue, needless = split(o.queue)
	}
	o.queue = append(o.queue, e)
	o.mu.Unlock()
	o.ready.ring()
	if len(needless) > 0 {
		o.giveBack(master.Undelivered{Tasks: needless})
	}
}

// split parts what is queued into recalls and the tasks of assignments.
func split(queue []master.Effect) (recalls []master.Effect, tasks []master.Placed) {
	for _, e := range queue {
		if a, ok := e.(master.Assign); ok {
			tasks = append(tasks, a.Tasks...)
		} else {
			recalls = append(recalls, e)
		}
	}
	return recalls, tasks
}

func (o *outbox) take() []master.Effect {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queue
	o.queue = nil
	return q
}

// sendAll sends what waits. When an assignment does not arrive, none after it
// is tried: the member is as far away for those.
func (o *outbox) sendAll(ctx context.Context) {
	queue := o.take()
	for i, e := range queue {
		switch e := e.(type) {
		case master.Recall:
			o.recall(ctx, e)
		case master.Assign:
			if missed, rest, err := o.send(ctx, e); err != nil {
				_, stuck := split(queue[i+1:])
				o.undelivered(missed, append(rest, stuck...), err)
				return
			}
		}
	}
}

func (o *outbox) recall(ctx context.Context, r master.Recall) {
	m := wire.Recall{Run: o.c.run.ID, Epoch: o.c.run.Epoch, Tasks: r.Tasks, Reason: r.Reason}
	if _, err := call[wire.Nothing](ctx, o.c.n, o.member, wire.MethodRecall, m); err != nil {
		o.c.log.Debug("tasks could not be recalled", telemetry.Member(o.member), telemetry.Err(err))
	}
}

// send delivers an assignment in as many messages as it takes. If one does not
// arrive it returns the tasks in that, and those that were to follow.
func (o *outbox) send(ctx context.Context, a master.Assign) (missed, rest []master.Placed, err error) {
	d := wire.Dispatch{Run: o.c.run, Lost: a.Lost, Before: a.Before}
	for _, s := range a.Sources {
		d.Sources = append(d.Sources, wire.Source{Node: s.Node, Maps: s.Maps})
	}
	for at := 0; at < len(a.Tasks); {
		d.N, d.Tasks = 0, make([]byte, 0, min(o.each*(len(a.Tasks)-at), maxDispatch))
		from := at
		for ; at < len(a.Tasks) && len(d.Tasks) < maxDispatch; at++ {
			t, err := o.task(ctx, a.Tasks[at])
			if err != nil {
				return nil, a.Tasks[from:], err
			}
			d.Tasks = wire.AppendTask(d.Tasks, &t)
			d.N++
		}
		o.each = len(d.Tasks)/d.N + 1
		answer, err := o.dispatch(ctx, a.Tasks[from].ID, d)
		if err != nil {
			return a.Tasks[from:at], a.Tasks[at:], err
		}
		o.misses = 0
		o.c.n.metrics.Placed(ctx, d.N)
		o.delivered(answer)
	}
	return nil, nil, nil
}

// maxTraced bounds of how many messages with tasks of a run there are spans.
const maxTraced = 1024

// dispatch sends tasks, the first of them first, in one message. It has a span,
// which the attempts are linked to, unless there are enough of these.
func (o *outbox) dispatch(ctx context.Context, first job.TaskID, d wire.Dispatch) (wire.Dispatched, error) {
	if d.Run.Trace == nil || o.c.traced.Add(1) > maxTraced {
		return call[wire.Dispatched](ctx, o.c.n, o.member, wire.MethodDispatch, d)
	}
	ctx, span := o.c.n.spans.Task(trace.ContextWithSpan(ctx, o.c.span), string(d.Run.ID), first, d.N, o.c.n.nameOf(o.member))
	d.Run.Trace = telemetry.Inject(ctx)
	answer, err := call[wire.Dispatched](ctx, o.c.n, o.member, wire.MethodDispatch, d)
	telemetry.End(span, err)
	return answer, err
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
	if o.chunk == nil || o.chunk.seq != p.Seq {
		var err error
		if o.chunk, err = o.c.chunks.chunk(ctx, p.Seq); err != nil {
			return t, err
		}
	}
	sub, err := o.chunk.task(o.c.run.ID, p.At)
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
// time in a row. What was missed may have arrived if the connection broke while
// it was under way; the rest was not sent.
func (o *outbox) undelivered(missed, rest []master.Placed, err error) {
	if o.ctx.Err() != nil {
		return
	}
	if is(err, state.ErrFenced) {
		o.c.quit(err)
		return
	}
	o.misses++
	wait := min(100*time.Millisecond<<min(o.misses, 10), 5*time.Second)
	o.c.log.Warn("tasks did not reach a worker", telemetry.Member(o.member), slog.Int("tasks", len(missed)+len(rest)), slog.Duration("again_in", wait), telemetry.Err(err))
	until := time.Since(o.c.began) + wait
	o.giveBack(master.Undelivered{Tasks: missed, Sent: errors.Is(err, transport.ErrBroken), Until: until})
	o.giveBack(master.Undelivered{Tasks: rest, Until: until})
}

func (o *outbox) giveBack(u master.Undelivered) {
	u.Member = o.member
	o.c.inbox.put(func() { o.c.step(u) })
}
