package state

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// findable makes runs of several jobs and namespaces, whose clocks go backward,
// and returns them in the order in which they were created.
func findable(t *testing.T, s *State) (all []job.Run) {
	t.Helper()
	ids := []job.RunID{"a/k@1", "ab/j@1", "a/j@10", "a/j@1", "b/j@1", "a/jj@1", "a/j@2"}
	for i, id := range ids {
		run := newRun(string(id))
		run.Master, run.Created = "m1", begin.Add(time.Duration(len(ids)-i)*time.Hour)
		switch i {
		case 2:
			run.Key, run.Plan.Sample = "key", make([]byte, 600<<10)
		case 0, 4:
			run.Spec.Tags = []string{"red"}
		case 3, 6:
			run.Spec.Tags = []string{"red", "blue", "red"}
		}
		create(t, s, run, blobs("x"))
		if i%2 == 0 {
			must(t, s.Finish(t.Context(), id, 1, job.Succeeded, "", job.Progress{}))
		}
		run, err := s.Run(id)
		must(t, err)
		run.History = nil
		all = append(all, run)
	}
	must(t, s.Stage(t.Context(), "a/l@1", 0, []byte("what is no run yet")))
	return all
}

// allOf returns the IDs of all pages of q, of which each is asked for once.
func allOf(t *testing.T, s *State, q job.RunQuery) (ids []job.RunID) {
	t.Helper()
	for pages := 0; ; pages++ {
		page, err := s.Find(q)
		must(t, err)
		for _, r := range page.Runs {
			ids = append(ids, r.ID)
		}
		if q.After = page.Next; q.After == "" {
			return ids
		}
		if pages > 20 {
			t.Fatalf("%+v does not come to an end", q)
		}
	}
}

// TestRunsAreFoundPageByPageInEveryOrder asks for every kind of run, by every
// size of page, and compares with what a look at all of them finds.
func TestRunsAreFoundPageByPageInEveryOrder(t *testing.T) {
	s := open(t, t.TempDir())
	created := findable(t, s)
	byID, err := s.Runs("", 100)
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
		{Tags: []string{"red"}},
		{Tags: []string{"blue", "red"}, Namespace: "a"},
		{Tags: []string{"red"}, Namespace: "a", Job: "j"},
		{Tags: []string{"green"}},
		{Tags: []string{"red", "re"}},
	} {
		for _, q.Order = range []job.RunOrder{job.RunsByID, job.RunsByCreation} {
			all := byID
			if q.Order == job.RunsByCreation && (q.Job == "" || len(q.Tags) > 0) {
				all = created
			}
			var want []job.RunID
			for _, r := range all {
				if (q.Namespace == "" || r.ID.Namespace() == q.Namespace) && (q.Job == "" || r.ID.Job() == q.Job) && q.WantsState(r.State) && q.WantsTime(r.Created) &&
					(q.Key == "" || q.Key == r.Key) && hasAll(r.Spec.Tags, q.Tags) {
					want = append(want, r.ID)
				}
			}
			for _, q.Backward = range []bool{false, true} {
				for q.Limit = range 4 {
					if got := allOf(t, s, q); !slices.Equal(got, want) {
						t.Errorf("%+v: got %q, want %q", q, got, want)
					}
				}
				slices.Reverse(want)
			}
		}
	}
}

// TestPagesAreStableWhileRunsComeAndGo reads from the latest run to the first
// while others are created and those are forgotten at which a page ended.
func TestPagesAreStableWhileRunsComeAndGo(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	var want []job.RunID
	for i := range 10 {
		id := created(t, s, "a/j"+string(rune('z'-i))+"@1")
		must(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{}))
		want = append(want, id)
	}
	slices.Reverse(want)
	q := job.RunQuery{Namespace: "a", Order: job.RunsByCreation, Backward: true, Limit: 3}
	var got []job.RunID
	for {
		page, err := s.Find(q)
		must(t, err)
		for _, r := range page.Runs {
			got = append(got, r.ID)
		}
		if q.After = page.Next; q.After == "" {
			break
		}
		must(t, s.Forget(ctx, got[len(got)-1]))
		created(t, s, "a/new@"+string(got[len(got)-1][2:]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	checkLaw(t, s.fsm)
}

func TestAPlaceThatIsNoneIsRefused(t *testing.T) {
	s := open(t, t.TempDir())
	for _, after := range []string{"a/j@1", "x a/j@1", "12"} {
		_, err := s.Find(job.RunQuery{Order: job.RunsByCreation, After: after})
		refused(t, err, ErrInvalid)
	}
}

// TestRunsOfAnOlderStoreAreListed takes the lists away, and some of the places
// in the order of creation, as older programs left them.
func TestRunsOfAnOlderStoreAreListed(t *testing.T) {
	s := open(t, t.TempDir())
	all := findable(t, s)
	b, err := s.kv.Batch()
	must(t, err)
	for _, kind := range []byte{listedInNamespace, listedByTag} {
		for p, err := range s.kv.Scan([]byte{kind}) {
			must(t, err)
			must(t, b.Delete(slices.Clone(p.Key)))
		}
	}
	for _, r := range all[:3] {
		st, err := readStatus(s.kv, r.ID)
		must(t, err)
		st.Born = 0
		for _, key := range listings(r.ID, st) {
			must(t, b.Delete(key))
		}
		if live := s.fsm.live[r.ID]; live != nil {
			live.Born = 0
		}
		record, err := encode(st)
		must(t, err)
		must(t, b.Put(statusKey(r.ID), record))
	}
	must(t, b.Put(versionKey, []byte{shortLayout}))
	must(t, b.Commit())
	must(t, s.fsm.load())
	want := []job.RunID{"a/j@10", "a/k@1", "ab/j@1"} // of which is not known which was first
	for _, r := range all[3:] {
		want = append(want, r.ID)
	}
	for limit := range 4 {
		if got := allOf(t, s, job.RunQuery{Order: job.RunsByCreation, Limit: limit}); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	must(t, s.Forget(t.Context(), "a/k@1"))
	if got := allOf(t, s, job.RunQuery{Order: job.RunsByCreation, Namespace: "a"}); slices.Contains(got, "a/k@1") {
		t.Errorf("got %q, want it without the one that was forgotten", got)
	}
}

// BenchmarkFind reads a page of the latest runs, of a filter that lets all
// through or none, where there are many.
func BenchmarkFind(b *testing.B) {
	const runs = 100_000
	kv := openKV(b, b.TempDir())
	f := openFSM(b, kv)
	s := &State{kv: kv, fsm: f, log: discard}
	record, err := encode(newRun("a/j@1"))
	must(b, err)
	var cs []wire.Command
	for i := range runs {
		c := &wire.CreateRun{
			Run: job.RunID(fmt.Sprintf("a/j@20260329T030000Z-%08d", i)), Namespace: "a", Job: "j", Created: begin.UnixNano() + int64(i), Record: record,
		}
		if i%10 == 0 {
			c.Tags = []string{"t"}
		}
		if cs = append(cs, c); len(cs) == entryCommands || i == runs-1 {
			f.Apply(logOf(b, uint64(i), cs...))
			must(b, f.failure())
			cs = cs[:0]
		}
	}
	for name, q := range map[string]job.RunQuery{
		"creation": {Namespace: "a", Order: job.RunsByCreation, Backward: true},
		"ID":       {Namespace: "a"},
		"state":    {Namespace: "a", Order: job.RunsByCreation, Backward: true, States: []job.State{job.Failed}},
		"from":     {Namespace: "a", Order: job.RunsByCreation, Backward: true, From: begin.AddDate(1, 0, 0)},
		"IDstate":  {Namespace: "a", States: []job.State{job.Failed}},
		"tag":      {Namespace: "a", Order: job.RunsByCreation, Tags: []string{"t"}},
	} {
		b.Run(name, func(b *testing.B) {
			chance := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				q := q
				if n := uint64(1 + chance.IntN(runs)); q.Order == job.RunsByCreation {
					q.After = (&listedRun{born: n}).place()
				}
				page, err := s.Find(q)
				must(b, err)
				if len(q.States) == 0 && q.From.IsZero() && page.Next != "" && len(page.Runs) != 100 {
					b.Fatalf("got %d runs", len(page.Runs))
				}
			}
		})
	}
}
