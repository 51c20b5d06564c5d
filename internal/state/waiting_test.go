package state

import (
	"bytes"
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

// inLine returns the runs that wait for a master in the order of their places,
// and calls each with every place.
func inLine(t testing.TB, s *State, each func(Waiting)) (ids []job.RunID) {
	t.Helper()
	l, err := s.Lines()
	must(t, err)
	defer l.Close()
	for line := (Waiting{Priority: job.MaxPriority}); ; {
		at, ok, err := l.Line(line)
		must(t, err)
		if !ok {
			return ids
		}
		line = at
		line.Line += "\x01" // behind it
		for n := 0; ; n++ {
			w, ok, err := l.Run(at)
			must(t, err)
			if !ok {
				if n == 0 {
					t.Errorf("line %+v has nobody in it", line)
				}
				break
			}
			ids = append(ids, w.ID)
			each(w)
			at = w
			at.ID += "\x01" // behind it
		}
	}
}

func pending(t testing.TB, s *State) []job.RunID {
	t.Helper()
	return inLine(t, s, func(Waiting) {})
}

func TestRunsWaitByPriorityThenInTheLineOfTheirJobByAge(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	queued(t, s, "a", "d/a@3", 0, 2)
	queued(t, s, "a", "d/a@1", 0, 1)
	queued(t, s, "b", "d/b@0", 0, 1)
	queued(t, s, "b", "d/b@9", 100, 9)
	queued(t, s, "a", "d/a@9", -100, 0)
	queued(t, s, "b", "d/b@5", -1, 0)
	queued(t, s, "ab", "d/ab@1", 0, 0)
	want := []job.RunID{"d/b@9", "d/a@1", "d/a@3", "d/ab@1", "d/b@0", "d/b@5", "d/a@9"}
	if got := pending(t, s); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	l, err := s.Lines()
	must(t, err)
	for from, want := range map[Waiting]string{
		{Priority: 1}: "a", {Namespace: "default", Job: "a\x01"}: "ab", {Namespace: "default", Job: "b"}: "b", {Namespace: "default\x01"}: "b",
	} {
		if got, ok, err := l.Line(from); err != nil || !ok || got.Job != want {
			t.Errorf("from %+v: got %+v, %v, %v, want that of %s", from, got, ok, err, want)
		}
	}
	line := Waiting{Namespace: "default", Job: "a"}
	for after, want := range map[time.Duration]job.RunID{0: "d/a@1", 2: "d/a@3", 3: ""} {
		line.Created, line.ID = noon.Add(after), "d/a@0"
		if got, ok, err := l.Run(line); err != nil || ok != (want != "") || got.ID != want {
			t.Errorf("from %+v: got %+v, %v, %v, want %s", line, got, ok, err, want)
		}
	}
	l.Close()
	if n := len(s.fsm.live); n != 0 {
		t.Errorf("%d runs that wait are in memory", n)
	}
	closed(t, s)
	s = open(t, dir)
	if got := pending(t, s); !slices.Equal(got, want) {
		t.Fatalf("after a restart: got %q, want %q", got, want)
	}
	_, err = s.Assign(t.Context(), "d/a@1", 0, "m1", "")
	must(t, err)
	_, err = s.Kill(t.Context(), "d/b@9", "")
	must(t, err)
	if got := pending(t, s); !slices.Equal(got, want[2:]) {
		t.Fatalf("those that do not wait any more: got %q, want %q", got, want[2:])
	}
	if unfinished, err := s.Unfinished(); err != nil || len(unfinished) != 1 || unfinished[0].ID != "d/a@1" {
		t.Fatalf("got %d that have begun, %v", len(unfinished), err)
	}
}

func TestRunsOfOtherKeysAreInOtherLines(t *testing.T) {
	s := open(t, t.TempDir())
	for i, key := range []string{"x", "", "y", "x"} {
		run := newRun(fmt.Sprintf("d/a@%d", i))
		run.Spec.Name, run.LimitKey, run.Created = "a", key, noon.Add(time.Duration(i))
		create(t, s, run, nil)
	}
	run := newRun("d/a@4")
	run.Spec.Name, run.OverlapKey, run.Created = "a", "x", noon.Add(4)
	create(t, s, run, nil)
	lines := map[string][]job.RunID{}
	inLine(t, s, func(w Waiting) { lines[w.Line] = append(lines[w.Line], w.ID) })
	if len(lines) != 4 || !slices.Equal(lines[LineOf(&job.Run{LimitKey: "x"})], []job.RunID{"d/a@0", "d/a@3"}) || len(lines[""]) != 1 {
		t.Errorf("got %q", lines)
	}
}

// TestWhatWaitedBeforeThereWereLinesGetsIntoThem opens a store of the layout
// before.
func TestWhatWaitedBeforeThereWereLinesGetsIntoThem(t *testing.T) {
	const n = 2500
	kv := openKV(t, t.TempDir())
	f := openFSM(t, kv)
	var cs []wire.Command
	for i := range n {
		cs = append(cs, &wire.CreateRun{Run: job.RunID(fmt.Sprintf("d/j@%d", i)), Namespace: "d", Job: "j", Priority: i % 3, Created: int64(i + 1), Record: []byte("run")})
	}
	for i := 0; len(cs) > 0; i++ {
		k := min(len(cs), entryCommands)
		f.Apply(logOf(t, uint64(i+1), cs[:k]...))
		must(t, f.failure())
		cs = cs[k:]
	}
	want := contents(t, kv)
	for range 3 {
		b, err := kv.Batch()
		must(t, err)
		done := 0
		for p, err := range kv.Scan([]byte("x")) {
			must(t, err)
			if done++; done > 1000 {
				break
			}
			rest := p.Key[len(lineKey('x', 0, "d", "j", "")):]
			must(t, b.Put(append([]byte{'p', p.Key[1]}, rest...), bytes.Clone(p.Value), named('n', "d", "j")[1:]))
			must(t, b.Delete(bytes.Clone(p.Key)))
		}
		for p, err := range kv.Scan([]byte("X")) {
			must(t, err)
			must(t, b.Delete(bytes.Clone(p.Key)))
		}
		must(t, b.Put(versionKey, []byte{oldLayout}))
		must(t, b.Commit())
	}
	must(t, f.load())
	checkLaw(t, f)
	if contents(t, kv) != want {
		t.Error("the store is not as it was")
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
	if got := pending(t, s); len(got) > 0 {
		t.Fatalf("%q wait for a master before their time", got)
	}
	for range 2 { // an answer may be lost
		must(t, s.Admit(ctx, "d/j@1", "d/j@2"))
	}
	if got, want := pending(t, s), []job.RunID{"d/j@1", "d/j@2"}; !slices.Equal(got, want) {
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
