package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/musterhq/muster/internal/codec"
)

// ReduceGroups reduces each group in turn. See Keyed.
func (p *keyed[In, K, V, Out]) ReduceGroups(ctx context.Context, t *Task, groups iter.Seq2[[]byte, iter.Seq[[]byte]], out func(key, value []byte) error) error {
	if p.err != nil {
		return p.err
	}
	if p.reducer == nil {
		return Permanent(fmt.Errorf("mapreduce: %T has no Reduce: pairs are passed on as they are", p.m))
	}
	ctx, cancel := context.WithCancelCause(WithTask(ctx, t))
	defer cancel(nil)
	r := &reducing[In, K, V, Out]{keyed: p, ctx: ctx, out: out}
	r.group = group[V]{codec: p.values, slab: &r.slab, cancel: cancel}
	r.values, r.group.step = r.group.each, r.group.next
	defer r.locatePanic()
	for key, values := range groups {
		if err := r.reduce(key, values); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// A reducing is one attempt to reduce a partition. Its buffers and iterator
// are made once and serve every group.
type reducing[In, K, V, Out any] struct {
	*keyed[In, K, V, Out]
	ctx    context.Context // of the attempt, which is the reducing's life
	out    func(key, value []byte) error
	group  group[V]
	values iter.Seq[V] // group.each, as a value that can be passed on

	key      K    // that is being reduced
	inReduce bool // whether the user's Reduce is on the stack
	keyBytes []byte
	buf      []byte
	slab     codec.Slab // of keys and values that are text
}

func (r *reducing[In, K, V, Out]) reduce(key []byte, values iter.Seq[[]byte]) (err error) {
	r.slab.Renew()
	// Whoever merges may reuse the key's bytes as soon as the values move on.
	r.keyBytes = append(r.keyBytes[:0], key...)
	if r.key, err = r.keys.DecodeIn(&r.slab, r.keyBytes); err != nil {
		return fmt.Errorf("mapreduce: key to reduce: %w", err)
	}
	r.group.begin(values)
	r.inReduce = true
	o, err := r.reducer.Reduce(r.ctx, r.key, r.values)
	r.inReduce = false
	broken := r.group.finish()
	switch {
	case broken != nil: // Reduce has not seen all, whatever it returned
		return fmt.Errorf("mapreduce: reduce key %s: %w", shown(r.key), broken)
	case r.ctx.Err() != nil && (err == nil || errors.Is(err, r.ctx.Err())):
		return context.Cause(r.ctx)
	case err != nil:
		return fmt.Errorf("mapreduce: reduce key %s: %w", shown(r.key), err)
	}
	if r.buf, err = r.outs.Append(r.buf[:0], o); err != nil {
		return Permanent(fmt.Errorf("mapreduce: reduce key %s: output: %w", shown(r.key), err))
	}
	if len(r.buf) > MaxValue {
		return Permanent(fmt.Errorf("mapreduce: reduce key %s: the output has %d bytes and may have %d: write it to a file with Task.Create", shown(r.key), len(r.buf), MaxValue))
	}
	return r.out(r.keyBytes, r.buf)
}

// locatePanic lets a panic of Reduce go on, with the key that caused it.
func (r *reducing[In, K, V, Out]) locatePanic() {
	if !r.inReduce {
		return
	}
	if v := recover(); v != nil {
		panic(&RecordPanic{Where: "reduce key " + shown(r.key), Value: v})
	}
}

// A group is the values of one key, decoded as they are asked for. It is made
// once and serves every key: a range over a function would cost each of them
// three allocations.
type group[V any] struct {
	codec  codec.Value[V]
	slab   *codec.Slab
	cancel context.CancelCauseFunc
	step   func(b []byte) bool // next, as a value that can be passed on

	source iter.Seq[[]byte] // nil once the values were ranged over
	yield  func(v V) bool   // nil once no more values are wanted
	err    error
}

func (g *group[V]) begin(source iter.Seq[[]byte]) { g.source = source }

// each is the iterator that Reduce gets.
func (g *group[V]) each(yield func(V) bool) {
	if g.source == nil {
		g.fail(Permanent(errors.New("the values were ranged over a second time, or after Reduce had returned: they are streamed, so keep what is needed again")))
		return
	}
	g.yield = yield
	g.run()
	g.yield = nil
}

// finish passes over values that were not looked at, and returns what kept
// Reduce from seeing all that it asked for.
func (g *group[V]) finish() error {
	if g.source != nil && g.err == nil {
		g.run()
	}
	g.source = nil
	return g.err
}

func (g *group[V]) run() {
	source := g.source
	g.source = nil
	source(g.step)
}

// next takes the next value. What is no longer wanted lies between here and
// the next group, so it is passed over: whoever merges need not know.
func (g *group[V]) next(b []byte) bool {
	if g.yield == nil {
		return true
	}
	v, err := g.codec.DecodeIn(g.slab, b)
	if err != nil {
		g.fail(fmt.Errorf("value: %w", err))
		return false
	}
	if !g.yield(v) {
		g.yield = nil
	}
	return true
}

func (g *group[V]) fail(err error) {
	if g.err == nil {
		g.err = err
		g.cancel(err)
	}
}
