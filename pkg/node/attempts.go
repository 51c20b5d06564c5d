package node

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// maxEntries bounds how many entries of a journal one page of attempts looks at:
// half a million outcomes or so.
const maxEntries = 500

// Attempts returns the attempts at the run's tasks that have ended, a page of
// those that q asks for, in the order in which they were recorded. A page costs
// as much of the journal as it shows or passes over, however many tasks the run
// has. Of a run that was compacted what it did not need any more is gone, and
// the page says so.
func (r *Run) Attempts(ctx context.Context, q job.AttemptQuery) (page job.AttemptPage, err error) {
	seq, skip, err := q.Place()
	if err != nil {
		return page, err
	}
	run, err := r.Get(ctx)
	if err != nil {
		return page, err
	}
	// Without a reduce step the outcomes are the result, and what failed is kept
	// of every run.
	page.Compacted = run.Compacted && run.Plan.Reduces > 0 && !q.Failed
	limit, entries := cmp.Or(q.Limit, 100), 0
	for e, err := range r.n.journalFrom(ctx, &run, seq, wire.EntryOutcomes) {
		if err != nil {
			return page, r.explain(err)
		}
		if len(page.Attempts) == limit || entries == maxEntries {
			page.Next = job.AttemptPlace(e.Seq, 0)
			return page, nil
		}
		entries++
		if e.Seq != seq {
			skip = 0
		}
		at := 0
		for o, err := range wire.Outcomes(e.Blob) {
			if err != nil {
				return page, fmt.Errorf("node: journal entry %d of %s: %w", e.Seq, r.id, err)
			}
			at++
			if at <= skip {
				continue
			}
			if len(page.Attempts) == limit {
				page.Next = job.AttemptPlace(e.Seq, at-1)
				return page, nil
			}
			if a := attempted(&e, &o, at); q.Wants(&a) {
				page.Attempts = append(page.Attempts, a)
			}
		}
	}
	return page, nil
}

// attempted returns the outcome of an entry that comes at a place in it, from 1.
func attempted(e *entry, o *job.Outcome, at int) job.Attempted {
	a := job.Attempted{
		Task: o.Task, Epoch: e.Epoch, Attempt: o.Attempt, Final: final(o), Failure: o.Failure,
		Result: bytes.Clone(o.Result), Files: slices.Clone(o.Files), Took: o.Took, Bytes: o.Bytes, Cursor: job.AttemptPlace(e.Seq, at),
	}
	for _, m := range e.Members {
		if at <= m.N {
			a.Node = m.Member
			break
		}
		at -= m.N
	}
	return a
}
