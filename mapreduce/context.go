package mapreduce

import "context"

// WithTask returns a context that carries t. The runtime calls a Processor
// with such a context, so that code further down can find its task.
func WithTask(ctx context.Context, t *Task) context.Context {
	return context.WithValue(ctx, taskKey{}, t)
}

// TaskFrom returns the task that ctx was made for. In Map and Reduce this is
// how to get at the run's parameters, the logger and the rest. ok is false
// outside of a task.
func TaskFrom(ctx context.Context) (t *Task, ok bool) {
	t, ok = ctx.Value(taskKey{}).(*Task)
	return t, ok
}

type taskKey struct{}

// A meter counts input bytes and passes the count on in lumps, because a call
// per line would cost more than the line.
type meter struct {
	read    func(n int64) // nil if nobody wants to know
	pending int64
}

// newMeter returns a meter for the task of ctx. A Runtime that has a method
// Read(n int64) is told how many bytes of input its task has read.
func newMeter(ctx context.Context) *meter {
	m := &meter{}
	if t, ok := TaskFrom(ctx); ok {
		if r, ok := t.Runtime.(interface{ Read(n int64) }); ok {
			m.read = r.Read
		}
	}
	return m
}

const meterLump = 256 << 10

func (m *meter) add(n int) {
	m.pending += int64(n)
	if m.pending >= meterLump {
		m.flush()
	}
}

func (m *meter) flush() {
	if m.read != nil && m.pending > 0 {
		m.read(m.pending)
	}
	m.pending = 0
}
