package node

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// SubmitAll is Submit for many runs: those that it returns are durable, each a
// run of its own, in the order of specs. One that is refused is nil there, and
// the error is about all of those, or about the first if the state could not be
// reached; in that case any of those that are nil may have been accepted. It is
// for thousands of small runs, which take a few messages and a few writes
// together, the fewer if neighbours differ in their Params alone; options apply
// to each.
func (n *Node) SubmitAll(ctx context.Context, specs []job.Spec, options ...Option) ([]*Run, error) {
	if n.isStopping() {
		return nil, ErrStopped
	}
	all := bulk{n: n, runs: make([]*Run, len(specs))}
	for i := range specs {
		if len(options) == 0 && all.lot.takes(&specs[i]) {
			all.lot.add(i, specs[i].Params)
			continue
		}
		run, err := n.ask(ctx, specs[i], options)
		if err == nil && all.lot.takesRun(&run) {
			all.lot.add(i, run.Spec.Params)
			continue
		}
		if err := all.close(ctx); err != nil {
			return all.runs, err
		}
		asked, entries := run, [][]byte(nil)
		if err == nil {
			entries, err = n.planAnew(ctx, &run)
		}
		if err == nil && total(entries) > maxDispatch { // its input goes ahead of it
			var id job.RunID
			if id, err = n.record(ctx, run, entries); err == nil {
				all.runs[i] = &Run{n: n, id: id}
				continue
			}
		}
		if err != nil {
			all.errs = append(all.errs, fmt.Errorf("run %d: %w", i, err))
			continue
		}
		all.lot.begin(&specs[i], i, asked, wire.Create{Run: run, Chunks: entries})
	}
	if err := all.close(ctx); err != nil {
		return all.runs, err
	}
	if err := all.send(ctx); err != nil {
		return all.runs, err
	}
	return all.runs, errors.Join(all.errs...)
}

// maxSubmitted is how many runs one message submits at most.
const maxSubmitted = 4 * job.MaxLot

// bulk is runs on their way to the leader.
type bulk struct {
	n    *Node
	runs []*Run
	errs []error

	lot  lot // what comes next, if it is like what came last
	next wire.Creates
	at   [2][]int // the places of the runs of next: by themselves, and in lots
	size int
}

// close puts what has come together into the next message, after that was sent if
// it is large enough.
func (b *bulk) close(ctx context.Context) error {
	l := b.lot
	b.lot = lot{}
	if len(l.at) == 0 {
		return nil
	}
	size := l.size + sizeOf(&l.Run) + total(l.Chunks)
	if have := len(b.at[0]) + len(b.at[1]); have > 0 && (b.size+size > maxDispatch || have+len(l.at) > maxSubmitted) {
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	b.size += size
	if len(l.at) > 1 {
		b.next.Lots, b.at[1] = append(b.next.Lots, l.Lot), append(b.at[1], l.at...)
	} else {
		b.next.Creates, b.at[0] = append(b.next.Creates, l.Create), append(b.at[0], l.at[0])
	}
	return nil
}

func (b *bulk) send(ctx context.Context) error {
	at := append(b.at[0], b.at[1]...)
	if len(at) == 0 {
		return nil
	}
	accepted, err := lead[wire.Accepted](ctx, b.n, wire.MethodCreates, b.next)
	if err == nil && len(accepted.Runs) != len(at) {
		err = fmt.Errorf("%d answers to %d runs", len(accepted.Runs), len(at))
	}
	if err != nil {
		return fmt.Errorf("node: submit %d runs: %w", len(at), bare(plain(err)))
	}
	for i, id := range accepted.Runs {
		if id != "" {
			b.runs[at[i]] = &Run{n: b.n, id: id}
		}
	}
	for _, r := range accepted.Refused {
		if r.At >= 0 && r.At < len(at) {
			b.errs = append(b.errs, unsubmitted(b.id(r.At), &coded{r.Code, r.Text}))
		}
	}
	b.next, b.at, b.size = wire.Creates{}, [2][]int{}, 0
	return nil
}

// id returns the ID of run i of the next message.
func (b *bulk) id(i int) job.RunID {
	if i < len(b.next.Creates) {
		return b.next.Creates[i].Run.ID
	}
	i -= len(b.next.Creates)
	for k := range b.next.Lots {
		l := &b.next.Lots[k]
		if i < len(l.Params) {
			return job.InLot(l.Run.ID, i)
		}
		i -= len(l.Params)
	}
	return ""
}

// lot is runs that differ in their Params alone, as they come.
type lot struct {
	wire.Lot
	like  *job.Spec // that of the first, if others may join it
	that  job.Spec  // what is compared with it
	asked job.Run   // the first, before it was planned
	at    []int     // their places among all
	size  int       // of the Params
}

// begin begins a lot with a run, which nothing joins that is to be recorded in
// another way.
func (l *lot) begin(spec *job.Spec, at int, asked job.Run, c wire.Create) {
	*l = lot{Lot: wire.Lot{Create: c, Params: []string{c.Run.Spec.Params}}, asked: asked, at: []int{at}}
	if r := &c.Run; isUsual(r) && r.Key == "" && r.LimitKey == "" && r.NotBefore.IsZero() {
		l.like = spec
	}
}

// takesRun reports whether a run may join. Options are anybody's code, which may
// make of each run what it likes.
func (l *lot) takesRun(run *job.Run) bool {
	if !l.hasRoom(run.Spec.Params) {
		return false
	}
	r, a := *run, &l.asked
	r.ID, r.Fire, r.Created, r.Spec.Params = a.ID, a.Fire, a.Created, a.Spec.Params
	return reflect.DeepEqual(&r, a)
}

func (l *lot) hasRoom(params string) bool {
	return l.like != nil && len(l.at) < job.MaxLot && l.size+len(params) <= maxDispatch && len(params) <= job.MaxParams
}

// takes reports whether a run of the spec may join that has no options.
func (l *lot) takes(spec *job.Spec) bool {
	if !l.hasRoom(spec.Params) {
		return false
	}
	l.that = *spec
	l.that.Params = l.like.Params
	return codec.Same(&l.that, l.like) || reflect.DeepEqual(&l.that, l.like)
}

func (l *lot) add(at int, params string) {
	l.at, l.Params, l.size = append(l.at, at), append(l.Params, params), l.size+len(params)
}

// WaitAll is Wait for many runs of this node. It returns when all are over:
// what each returned, in the order of runs, and an error about all that did not
// succeed, whose outputs are zero.
func (n *Node) WaitAll(ctx context.Context, runs []*Run) ([]mapreduce.Output, error) {
	ids := make([]job.RunID, len(runs))
	for i, r := range runs {
		ids[i] = r.id
	}
	outputs, errs := make([]mapreduce.Output, len(runs)), []error(nil)
	for i, end := range n.ends.awaitAll(ctx, ids) {
		var err error
		if outputs[i], err = runs[i].outcome(end.End, end.err); err != nil {
			errs = append(errs, err)
		}
	}
	return outputs, errors.Join(errs...)
}
