package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// queued creates a run that waits for a master.
func queued(t testing.TB, s *State, name, id string, priority int, after time.Duration) job.RunID {
	t.Helper()
	run := newRun(id)
	run.Spec.Name, run.Spec.Priority, run.Created = name, priority, noon.Add(after)
	create(t, s, run, nil)
	return run.ID
}

func pending(t testing.TB, s *State, limit int, skip func(namespace, job string) bool) (ids []job.RunID) {
	t.Helper()
	for after := (Waiting{}); ; {
		page, err := s.Pending(after, limit, skip)
		must(t, err)
		if len(page) == 0 {
			return ids
		}
		for _, w := range page {
			ids, after = append(ids, w.ID), w
		}
	}
}

func TestRunsWaitInTheOrderOfPriorityThenAgeThenID(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	queued(t, s, "a", "d/a@3", 0, 2)
	queued(t, s, "a", "d/a@1", 0, 1)
	queued(t, s, "b", "d/b@0", 0, 1)
	queued(t, s, "b", "d/b@9", 100, 9)
	queued(t, s, "a", "d/a@9", -100, 0)
	queued(t, s, "b", "d/b@5", -1, 0)
	want := []job.RunID{"d/b@9", "d/a@1", "d/b@0", "d/a@3", "d/b@5", "d/a@9"}
	for limit := 1; limit < 4; limit++ {
		if got := pending(t, s, limit, nil); !slices.Equal(got, want) {
			t.Fatalf("pages of %d: got %q, want %q", limit, got, want)
		}
	}
	skip := func(_, name string) bool { return name == "a" }
	if got, want := pending(t, s, 2, skip), []job.RunID{"d/b@9", "d/b@0", "d/b@5"}; !slices.Equal(got, want) {
		t.Fatalf("without those of a: got %q, want %q", got, want)
	}
	if n := len(s.fsm.live); n != 0 {
		t.Errorf("%d runs that wait are in memory", n)
	}
	closed(t, s)
	s = open(t, dir)
	if got := pending(t, s, 0, nil); !slices.Equal(got, want) {
		t.Fatalf("after a restart: got %q, want %q", got, want)
	}
	_, err := s.Assign(t.Context(), "d/a@1", 0, "m1", "")
	must(t, err)
	_, err = s.Kill(t.Context(), "d/b@9", "")
	must(t, err)
	if got := pending(t, s, 0, nil); !slices.Equal(got, slices.Concat(want[2:])) {
		t.Fatalf("those that do not wait any more: got %q, want %q", got, want[2:])
	}
	if unfinished, err := s.Unfinished(); err != nil || len(unfinished) != 1 || unfinished[0].ID != "d/a@1" {
		t.Fatalf("got %d that have begun, %v", len(unfinished), err)
	}
}

func TestQueueThatIsFullRefusesByName(t *testing.T) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	try := func(name, id string, within Limits) error {
		run := newRun(id)
		run.Spec.Name = name
		_, err := s.CreateWithin(ctx, within, run, nil)
		return err
	}
	must(t, try("a", "d/a@1", Limits{Job: 2, Cluster: 3}))
	must(t, try("a", "d/a@2", Limits{Job: 2, Cluster: 3}))
	err := try("a", "d/a@3", Limits{Job: 2, Cluster: 3})
	refused(t, err, ErrOverloaded)
	for _, want := range []string{"default/a", "2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	must(t, try("a", "d/a@2", Limits{Job: 2, Cluster: 3})) // it is there already
	must(t, try("b", "d/b@1", Limits{Job: 2, Cluster: 3}))
	err = try("b", "d/b@2", Limits{Job: 2, Cluster: 3})
	refused(t, err, ErrOverloaded)
	if !strings.Contains(err.Error(), "cluster") {
		t.Errorf("%q does not name the cluster", err)
	}
	must(t, s.snapshot())
	closed(t, s)
	s = open(t, dir)
	if one, all, err := s.Queued("default", "a"); err != nil || one != 2 || all != 3 {
		t.Fatalf("after a restart %d and %d wait, %v", one, all, err)
	}
	for j, err := range s.QueuedJobs() {
		must(t, err)
		if want := map[string]int{"a": 2, "b": 1}[j.Job]; j.N != want {
			t.Errorf("%d runs of %s wait, want %d", j.N, j.Job, want)
		}
	}
	_, err = s.Assign(ctx, "d/a@1", 0, "m1", "")
	must(t, err)
	must(t, try("b", "d/b@2", Limits{Job: 2, Cluster: 3}))
}

func TestRefusedRunLeavesNoInputBehind(t *testing.T) {
	s := open(t, t.TempDir())
	queued(t, s, "a", "d/a@1", 0, 0)
	run := newRun("d/a@2")
	large := [][]byte{make([]byte, 1<<20), make([]byte, 1<<20)}
	_, err := s.CreateWithin(t.Context(), Limits{Cluster: 1}, run, large)
	refused(t, err, ErrOverloaded)
	for p, err := range s.kv.Scan([]byte("g")) {
		must(t, err)
		t.Errorf("record %q is left", p.Key)
	}
}

func TestRunThatIsNotDueWaitsForItsTime(t *testing.T) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	for i, after := range []time.Duration{3 * time.Hour, time.Hour, 2 * time.Hour} {
		run := newRun(fmt.Sprintf("d/j@%d", i))
		run.NotBefore = noon.Add(after)
		got, err := s.CreateWithin(ctx, Limits{Job: 1, Cluster: 1}, run, nil) // it is not counted
		must(t, err)
		if got.State != job.Pending || !got.NotBefore.Equal(run.NotBefore) {
			t.Fatalf("got %v, not before %v", got.State, got.NotBefore)
		}
	}
	closed(t, s)
	s = open(t, dir)
	due := func(after time.Duration) (ids []job.RunID) {
		t.Helper()
		all, err := s.Due(noon.Add(after), 0)
		must(t, err)
		for _, w := range all {
			ids = append(ids, w.ID)
		}
		return ids
	}
	if at, ok, err := s.NextDue(); err != nil || !ok || !at.Equal(noon.Add(time.Hour)) {
		t.Fatalf("the next is due at %v, %v, %v", at, ok, err)
	}
	if got := due(time.Hour - 1); len(got) > 0 {
		t.Fatalf("%q are due too early", got)
	}
	if got, want := due(2*time.Hour), []job.RunID{"d/j@1", "d/j@2"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if got := pending(t, s, 0, nil); len(got) > 0 {
		t.Fatalf("%q wait for a master before their time", got)
	}
	for range 2 { // an answer may be lost
		must(t, s.Admit(ctx, "d/j@1", "d/j@2"))
	}
	if got, want := pending(t, s, 0, nil), []job.RunID{"d/j@1", "d/j@2"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if one, all, err := s.Queued("default", "nightly"); err != nil || one != 2 || all != 2 {
		t.Fatalf("%d and %d wait, %v", one, all, err)
	}
	_, err := s.Assign(ctx, "d/j@0", 0, "m1", "") // that is begun at once
	must(t, err)
	if _, ok, err := s.NextDue(); err != nil || ok {
		t.Fatalf("another is due: %v, %v", ok, err)
	}
	refused(t, s.Admit(ctx, "d/none@1"), ErrNoRun)
}

// A run that waits takes no memory, in the state and behind its API.
func TestBacklogIsOnTheDisk(t *testing.T) {
	f := openFSM(t, openKV(t, t.TempDir()))
	var cs []wire.Command
	for i := range 5000 {
		cs = append(cs, &wire.CreateRun{Run: job.RunID(fmt.Sprintf("d/j@%d", i)), Namespace: "d", Job: "j", Created: int64(i + 1), Record: []byte("run")})
	}
	for i := 0; len(cs) > 0; i++ {
		n := min(len(cs), entryCommands)
		f.Apply(logOf(t, uint64(i+1), cs[:n]...))
		must(t, f.failure())
		cs = cs[n:]
	}
	if len(f.live) > 0 {
		t.Errorf("%d runs are in memory", len(f.live))
	}
	must(t, f.load())
	if len(f.live) > 0 {
		t.Errorf("%d runs are in memory after a restart", len(f.live))
	}
	checkLaw(t, f)
}
