package state

import (
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// TestRunsAreFoundPageByPageInBothOrders asks for every kind of run, by every
// size of page, and compares with what a look at all of them finds.
func TestRunsAreFoundPageByPageInBothOrders(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	ids := []job.RunID{"a/j@1", "a/j@10", "a/j@2", "a/jj@1", "a/k@1", "ab/j@1", "b/j@1"}
	for i, id := range ids {
		run := newRun(string(id))
		run.Master, run.Created = "m1", begin.Add(time.Duration(i)*time.Hour)
		if i == 2 {
			run.Key, run.Plan.Sample = "key", make([]byte, 600<<10)
		}
		create(t, s, run, blobs("x"))
		if i%2 == 0 {
			must(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{}))
		}
	}
	must(t, s.Stage(ctx, "a/l@1", 0, []byte("what is no run yet")))
	all, err := s.Runs("", 100)
	must(t, err)
	for _, q := range []job.RunQuery{
		{},
		{Namespace: "a"},
		{Namespace: "a", Job: "j"},
		{Namespace: "c"},
		{States: []job.State{job.Succeeded}},
		{States: []job.State{job.Running, job.Pending}, Namespace: "a"},
		{Key: "key"},
		{From: begin.Add(time.Hour), Until: begin.Add(4 * time.Hour)},
	} {
		for _, q.Backward = range []bool{false, true} {
			var want []job.RunID
			for _, r := range all {
				if (q.Namespace == "" || r.ID.Namespace() == q.Namespace) && (q.Job == "" || r.ID.Job() == q.Job) && q.Wants(r.State, r.Created) && (q.Key == "" || q.Key == r.Key) {
					want = append(want, r.ID)
				}
			}
			if q.Backward {
				slices.Reverse(want)
			}
			for q.Limit = range 4 {
				q.After = ""
				var got []job.RunID
				for pages := 0; ; pages++ {
					page, err := s.Find(q)
					must(t, err)
					for _, r := range page.Runs {
						got = append(got, r.ID)
					}
					if q.After = page.Next; q.After == "" {
						break
					}
					if pages > len(ids) {
						t.Fatalf("%+v does not come to an end", q)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%+v: got %q, want %q", q, got, want)
				}
			}
		}
	}
}
