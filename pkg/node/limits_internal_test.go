package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// waitsWith fails unless a run has not begun, for a reason.
func waitsWith(t *testing.T, r *Run, want string) {
	t.Helper()
	run, err := r.Get(t.Context())
	if err != nil || run.State != job.Pending || !strings.Contains(run.Reason, want) {
		t.Errorf("got a run that is %v: %q, %v; want one that waits: %q", run.State, run.Reason, err, want)
	}
}

// TestRunsOfOneKeyWaitForEachOther has a limit of the job to the runs of a key,
// which the caller gives or the job's expression works out.
func TestRunsOfOneKeyWaitForEachOther(t *testing.T) {
	n, _, h := holding(t, 8, nil)
	spec := job.Spec{Name: "a", LimitKey: "data.customer", Limits: []job.Limit{{By: job.ByKey, Running: 2}}}
	seven := spec
	seven.Params = `{"customer": "customer-7"}`
	first, second := accept(t, n, seven), accept(t, n, spec, LimitKey("customer-7"))
	h.next(t, first)
	h.next(t, second)
	third := accept(t, n, seven)
	waitsWith(t, third, "waits: 2 runs of key customer-7 go on, and the limit is 2")
	other := accept(t, n, spec, LimitKey("customer-8"))
	h.next(t, other) // though it is behind the third
	stopRun(t, first)
	h.next(t, third)
	if _, err := n.Submit(t.Context(), job.Spec{Processor: "hold", LimitKey: "data.customer"}); err == nil ||
		!strings.Contains(err.Error(), `node: LimitKey: expression "data.customer": it has no value`) {
		t.Errorf("got %v for a run without the key", err)
	}
	if _, err := n.Submit(t.Context(), job.Spec{Processor: "hold"}, LimitKey(strings.Repeat("k", 600))); err == nil ||
		!strings.Contains(err.Error(), "600 bytes, over the limit of 512") {
		t.Errorf("got %v for a key that is too long", err)
	}
}

// TestANamespaceBoundsItsJobsTogether changes the limits of a namespace while
// runs wait for them.
func TestANamespaceBoundsItsJobsTogether(t *testing.T) {
	n, _, h := holding(t, 8, nil)
	ns := job.Namespace{Limits: []job.Limit{{Running: 2}, {By: job.ByKey, Running: 1}}}
	if err := n.PutNamespace(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	first := accept(t, n, job.Spec{Name: "a"}, LimitKey("k"))
	h.next(t, first)
	keyed := accept(t, n, job.Spec{Name: "b"}, LimitKey("k"))
	waitsWith(t, keyed, "waits: 1 runs of key k in namespace default go on, and the limit is 1")
	second := accept(t, n, job.Spec{Name: "c"})
	h.next(t, second)
	third := accept(t, n, job.Spec{Name: "d"})
	waitsWith(t, third, "waits: 2 runs of namespace default go on, and the limit is 2")
	h.next(t, accept(t, n, job.Spec{Namespace: "other", Name: "d"}))
	ns.Limits = ns.Limits[1:]
	if err := n.PutNamespace(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	h.next(t, third)
	stopRun(t, first)
	h.next(t, keyed)
	if all, err := n.Namespaces(t.Context()); err != nil || len(all) != 1 || all[0].Name != "default" || len(all[0].Limits) != 1 {
		t.Errorf("got %+v, %v", all, err)
	}
	if err := n.PutNamespace(t.Context(), job.Namespace{Limits: []job.Limit{{By: "job", Rate: "often"}}}); err == nil ||
		!strings.Contains(err.Error(), `job: Limits[0].Rate: rate "often": want a number from 1 to 1000000 and a time from 1s to 168h, as in 10/1m`) {
		t.Errorf("got %v for a rate that is none", err)
	}
}

// TestARateIsKeptByTheLeaderThatComesNext begins as many runs as a rate allows,
// and has another leader look at the one that is left.
func TestARateIsKeptByTheLeaderThatComesNext(t *testing.T) {
	n, l, h := holding(t, 8, nil)
	spec := job.Spec{Name: "a", Limits: []job.Limit{{Rate: "2/1h"}}}
	for range 2 {
		h.next(t, accept(t, n, spec))
	}
	third := accept(t, n, spec)
	waitsWith(t, third, ": 2 runs an hour of the job")
	after := newLeader(l.ctx, n.server)
	if err := after.remember(); err != nil {
		t.Fatal(err)
	}
	run, err := after.run(third.ID())
	if err != nil || !strings.HasPrefix(run.Reason, "waits until ") || !strings.HasSuffix(run.Reason, "Z: 2 runs an hour of the job") {
		t.Errorf("got %q, %v from the leader that comes next", run.Reason, err)
	}
	second := job.Spec{Name: "b", Limits: []job.Limit{{Rate: "1/1s"}}}
	one, two := accept(t, n, second), accept(t, n, second)
	h.next(t, one)
	h.next(t, two) // once it may
}

// TestManyRunsThatWaitDoNotStarveOthers has a job, and a key of it, with much
// to do.
func TestManyRunsThatWaitDoNotStarveOthers(t *testing.T) {
	n, _, h := holding(t, 4, func(cfg *Config) { cfg.MaxRuns = 1 })
	first := accept(t, n, job.Spec{Name: "first"})
	h.next(t, first)
	var big []*Run
	for range 20 {
		big = append(big, accept(t, n, job.Spec{Name: "big"}, LimitKey("much")))
	}
	small := accept(t, n, job.Spec{Name: "small"})
	little := accept(t, n, job.Spec{Name: "big"}, LimitKey("little"))
	stopRun(t, first)
	seen := map[*Run]int{}
	for i := range 5 {
		id := <-h.at
		seen[n.Run(id)] = i
		for _, r := range []*Run{small, little} {
			if r.ID() == id {
				seen[r] = i
			}
		}
		stopRun(t, n.Run(id))
	}
	for _, r := range []*Run{small, little} {
		if _, ok := seen[r]; !ok {
			t.Errorf("run %s has not begun among the first five", r.ID())
		}
	}
	for range len(big) - 3 {
		stopRun(t, n.Run(<-h.at))
	}
}

// TestALimitThatCantBeIsRefused names the field, the value and the remedy.
func TestALimitThatCantBeIsRefused(t *testing.T) {
	n, _, _ := holding(t, 1, nil)
	for want, spec := range map[string]job.Spec{
		`job: Limits[0].By "node": want one of job key`:                                                                             {Limits: []job.Limit{{By: "node", Running: 1}}},
		`job: Limits[0].By "namespace": want job or key: what bounds a namespace is said of the namespace, not of a job`:            {Limits: []job.Limit{{By: job.ByNamespace, Running: 1}}},
		`job: Limits[0].Running -1: want a positive number, or 0 for any number`:                                                    {Limits: []job.Limit{{Running: -1}}},
		`job: Limits[0] bounds nothing: set Running, or Rate as in 10/1m`:                                                           {Limits: []job.Limit{{By: job.ByKey}}},
		`job: Limits[0].Rate: rate "0/1m": want a number from 1 to 1000000 and a time from 1s to 168h, as in 10/1m`:                 {Limits: []job.Limit{{Rate: "0/1m"}}},
		`job: 11 Limits: want at most 10`:                                                                                           {Limits: make([]job.Limit, 11)},
		`job: Weight -1: want a number from 1 to 1000, or 0 for 1`:                                                                  {Weight: -1},
		`job: LimitKey: expression "customer": unknown name customer (1:1): want one on name, id and data, as in data.amount > 100`: {LimitKey: "customer"},
	} {
		spec.Processor = "hold"
		if _, err := n.Submit(t.Context(), spec); fmt.Sprint(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
