package state

import (
	"strconv"
	"testing"

	"github.com/musterhq/muster/internal/wire"
)

// TestRecentHasABoundAndWhatWasLookedAtLast puts more in than there is room for.
func TestRecentHasABoundAndWhatWasLookedAtLast(t *testing.T) {
	name := func(i int) jobName { return jobName{"default", strconv.Itoa(i)} }
	var r recent
	each := jobSize(name(10_000), &wire.JobStatus{})
	last := 3 * recentBytes / each
	for i := range last {
		r.put(name(i), &wire.JobStatus{Seq: uint64(i)})
		if n := len(r.young) + len(r.old); n*(each-8) > recentBytes+each {
			t.Fatalf("got %d of some %d bytes, want at most %d bytes", n, each, recentBytes)
		}
	}
	for i := last - recentBytes/each/2; i < last; i++ {
		if js := r.get(name(i)); js == nil || js.Seq != uint64(i) {
			t.Fatalf("got %+v for one of the last, number %d of %d", js, i, last)
		}
	}
	if js := r.get(name(0)); js != nil {
		t.Errorf("got %+v, want the first forgotten", js)
	}
	r.put(name(last-1), &wire.JobStatus{Seq: 1})
	if js := r.get(name(last - 1)); js.Seq != 1 {
		t.Errorf("got %+v, want what was put in last", js)
	}
	if r.put(name(last-1), nil); r.get(name(last-1)) != nil {
		t.Error("got one that was removed")
	}
}
