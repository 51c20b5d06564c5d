package node

import (
	"context"
	"errors"
	"testing"

	"github.com/musterhq/muster/internal/wire"
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
	if len(e.waiting) > 0 {
		t.Errorf("%d runs are waited for when all are told", len(e.waiting))
	}
}
