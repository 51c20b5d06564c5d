package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// SubmitAll is Submit for many runs: those that it returns are durable, each a
// run of its own, in the order of specs. One that is refused is nil there, and
// the error is about all of those, or about the first if the state could not be
// reached; in that case any of those that are nil may have been accepted. It is
// for thousands of small runs, which take a few messages and a few writes
// together; options apply to each.
func (n *Node) SubmitAll(ctx context.Context, specs []job.Spec, options ...Option) ([]*Run, error) {
	if n.isStopping() {
		return nil, ErrStopped
	}
	all := bulk{n: n, runs: make([]*Run, len(specs))}
	for i := range specs {
		run, entries, err := n.prepare(ctx, specs[i], options)
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
		if err := all.add(ctx, i, wire.Create{Run: run, Chunks: entries}); err != nil {
			return all.runs, err
		}
	}
	if err := all.send(ctx); err != nil {
		return all.runs, err
	}
	return all.runs, errors.Join(all.errs...)
}

// bulk is runs on their way to the leader.
type bulk struct {
	n    *Node
	runs []*Run
	errs []error

	next []wire.Create
	at   []int // the places of next
	size int
}

// add sends what there is once that is enough.
func (b *bulk) add(ctx context.Context, at int, c wire.Create) error {
	size := sizeOf(&c.Run) + total(c.Chunks)
	if b.size+size > maxDispatch || len(b.next) == maxTogether {
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	if b.next == nil {
		b.next = make([]wire.Create, 0, min(len(b.runs)-at, maxTogether))
	}
	b.next, b.at, b.size = append(b.next, c), append(b.at, at), b.size+size
	return nil
}

func (b *bulk) send(ctx context.Context) error {
	if len(b.next) == 0 {
		return nil
	}
	accepted, err := lead[wire.Accepted](ctx, b.n, wire.MethodCreates, wire.Creates{Creates: b.next})
	if err == nil && len(accepted.Runs) != len(b.next) {
		err = fmt.Errorf("%d answers to %d runs", len(accepted.Runs), len(b.next))
	}
	if err != nil {
		return fmt.Errorf("node: submit %d runs: %w", len(b.next), bare(plain(err)))
	}
	for i, id := range accepted.Runs {
		if id != "" {
			b.runs[b.at[i]] = &Run{n: b.n, id: id}
		}
	}
	for _, r := range accepted.Refused {
		if r.At >= 0 && r.At < len(b.next) {
			b.errs = append(b.errs, unsubmitted(b.next[r.At].Run.ID, &coded{r.Code, r.Text}))
		}
	}
	b.next, b.at, b.size = nil, nil, 0
	return nil
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
