package node

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// TestAllWhoWaitAreToldWhoeverLeaves has three wait for the same runs, one of
// them for one of these twice. One gives up when it has been told of the first:
// it has that, and the others have all.
func TestAllWhoWaitAreToldWhoeverLeaves(t *testing.T) {
	e := newEnds(&Node{ctx: t.Context()})
	e.running = true // nobody listens but this test
	gone := errors.New("the caller has gone")
	ctx, leave := context.WithCancelCause(t.Context())

	const a, b = job.RunID("default/a@1"), job.RunID("default/b@1")
	waits := []*wait{e.add([]job.RunID{a, b}), e.add([]job.RunID{b, a, b})}
	left := make(chan []ended)
	e.mu.Lock()
	e.added = nil
	e.mu.Unlock()
	go func() { left <- e.awaitAll(ctx, []job.RunID{a, b}) }()
	for len(e.take(false)) == 0 { // it has begun to wait when its runs are asked for
		<-e.fresh
	}

	e.tell(wire.Ends{Ends: []wire.End{{Run: wire.Over{ID: a, State: job.Succeeded}}}})
	leave(gone)
	got := <-left
	if got[0].Run.ID != a || got[0].err != nil || !errors.Is(got[1].err, gone) {
		t.Errorf("who leaves has %v, %v and %v, %v; want the end of %s and %v", got[0].Run.ID, got[0].err, got[1].Run.ID, got[1].err, a, gone)
	}

	e.tell(wire.Ends{Lost: []job.RunID{b}})
	for i, want := range [][]job.RunID{{a, ""}, {"", a, ""}} {
		<-waits[i].done
		for j, end := range waits[i].ends {
			if end.Run.ID != want[j] || (end.err != nil) != (want[j] == "") {
				t.Errorf("wait %d: run %d ended as %v, %v; want %q", i, j, end.Run.ID, end.err, want[j])
			}
		}
	}
	if e.waiting.Len() > 0 {
		t.Errorf("%d runs are waited for when all are told", e.waiting.Len())
	}
}

// TestAnEndAllocatesLittle counts what it takes to wait for runs of one task each,
// a thousand at a time, to be told of their ends, and to read what they returned.
func TestAnEndAllocatesLittle(t *testing.T) {
	const n, most = 1000, 17
	node := &Node{ctx: t.Context()}
	e := newEnds(node)
	e.running = true // nobody listens but this test
	outcome, err := wire.AppendOutcome(nil, &job.Outcome{Task: job.TaskID{Kind: job.KindMap}, Attempt: 1, Result: []byte{7}})
	if err != nil {
		t.Fatal(err)
	}
	last, err := wire.EncodeEntry(&wire.Entry{Kind: wire.EntryOutcomes, Epoch: 1, N: 1, Members: []wire.MemberCount{{Member: "a", N: 1}}, Blob: outcome})
	if err != nil {
		t.Fatal(err)
	}
	runs, ids, news := make([]Run, n), make([]job.RunID, n), wire.Ends{Ends: make([]wire.End, n)}
	for i := range ids {
		ids[i] = job.RunID(fmt.Sprintf("default/small@%d", i))
		runs[i] = Run{n: node, id: ids[i]}
		news.Ends[i] = wire.End{
			Run: wire.Over{ID: ids[i], State: job.Succeeded}, Few: true, Seqs: []uint64{1}, Outcomes: [][]byte{last},
		}
	}
	got := testing.AllocsPerRun(10, func() {
		w := e.add(ids)
		e.tell(news)
		<-w.done
		for i := range runs {
			out, err := runs[i].outcome(w.ends[i].End, w.ends[i].err)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := mapreduce.Value[int](t.Context(), out); v != 7 || err != nil {
				t.Fatal(v, err)
			}
		}
		e.take(false)
	})
	if got /= n; got > most {
		t.Errorf("the end of a run takes %v allocations, want at most %d", got, most)
	}
}
