package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// daily declares a job that is due once a day, and returns it when it is known when.
func daily(t *testing.T, n *Node, l *leader, spec job.Spec) job.Declared {
	t.Helper()
	spec.Schedule.When = "0 3 * * *"
	if _, err := n.PutJob(t.Context(), spec, 0); err != nil {
		t.Fatal(err)
	}
	// Whether this settles it or the clock was first, it is settled then.
	f, due, err := l.clock.settle("default", spec.Name)
	if err == nil && due {
		err = l.clock.fireAll([]state.Firing{f})
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.state.Job("default", spec.Name)
	if err != nil || d.Fires.Wake.IsZero() {
		t.Fatalf("got job %+v, %v, want one that is to be looked at", d, err)
	}
	return d
}

func wakeOf(d *job.Declared) state.Wake {
	return state.Wake{Namespace: d.Spec.Namespace, Name: d.Spec.Name, At: d.Fires.Wake}
}

// TestWhatHappensToAJobUndoesWhatWasWorkedOutOfIt works out the fires of jobs ahead
// of their time. Of those to which nothing happens until then each makes a run.
func TestWhatHappensToAJobUndoesWhatWasWorkedOutOfIt(t *testing.T) {
	n, l, _ := holding(t, 8, nil)
	for name, c := range map[string]struct {
		happens func(name string) error
		want    int
	}{
		"nothing": {func(string) error { return nil }, 1},
		"edited": {func(name string) error {
			_, err := n.PutJob(t.Context(), job.Spec{Name: name, Processor: "hold", Params: "other", Schedule: trigger.Schedule{When: "0 3 * * *"}}, 0)
			return err
		}, 0},
		"paused":  {func(name string) error { return n.PauseJob(t.Context(), "", name, "not now") }, 0},
		"deleted": {func(name string) error { return n.DeleteJob(t.Context(), "", name) }, 0},
	} {
		d := daily(t, n, l, job.Spec{Name: name, Processor: "hold"})
		e, ok, err := l.clock.ahead.workOut(wakeOf(&d))
		if err != nil || !ok {
			t.Fatalf("%s: got %+v, %v, %v, want a run to be worked out", name, e, ok, err)
		}
		f, err := l.clock.ahead.unpack(e.firing)
		if err != nil || len(f.Runs) != 1 {
			t.Fatalf("%s: got %+v, %v, want a run", name, f, err)
		}
		if err := c.happens(name); err != nil {
			t.Fatal(err)
		}
		if err := l.clock.fireAll([]state.Firing{f}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		run, err := l.state.Run(f.Runs[0].Run.ID)
		if made := err == nil; made != (c.want == 1) {
			t.Errorf("%s: got run %+v, %v, want %d runs", name, run, err, c.want)
		}
	}
}

// TestWhatIsTakenWasWorkedOutForThatTime asks for what was worked out of jobs that
// are due at another time by now, and of some whose processor is another.
func TestWhatIsTakenWasWorkedOutForThatTime(t *testing.T) {
	n, l, _ := holding(t, 8, nil)
	d, a := daily(t, n, l, job.Spec{Name: "j", Processor: "hold"}), l.clock.ahead
	keep := func(change func(e *early)) {
		t.Helper()
		e, ok, err := a.workOut(wakeOf(&d))
		if err != nil || !ok {
			t.Fatalf("got %v, %v, want it to be worked out", ok, err)
		}
		change(&e)
		a.mu.Lock()
		a.keepLocked(jobRef{"default", "j"}, e)
		a.mu.Unlock()
	}
	for name, c := range map[string]struct {
		change func(e *early)
		ready  int
	}{
		"as it was":          {func(*early) {}, 1},
		"another time":       {func(e *early) { e.at = e.at.Add(-time.Hour) }, 0},
		"too long ago":       {func(e *early) { e.until = n.wall().Add(-time.Second) }, 0},
		"another processor":  {func(e *early) { e.processor.Version = "2" }, 0},
		"no processor by it": {func(e *early) { e.processor.Name = "none" }, 0},
	} {
		keep(c.change)
		ready, rest := a.take([]state.Wake{wakeOf(&d)})
		if len(ready) != c.ready || len(rest) != 1-c.ready {
			t.Errorf("%s: got %d ready and %d not, want %d ready", name, len(ready), len(rest), c.ready)
		}
		for _, p := range ready {
			f, err := a.unpack(p)
			if err != nil {
				t.Fatal(err)
			}
			if at := f.Runs[0].Run.Created; at.After(n.wall()) {
				t.Errorf("%s: the run is created at %v, want when it was taken", name, at)
			}
		}
		if ready, _ := a.take([]state.Wake{wakeOf(&d)}); len(ready) > 0 {
			t.Errorf("%s: it can be taken twice", name)
		}
	}
}

// TestWhatDependsOnMoreThanTheSpecIsPlannedWhenItIsDue has jobs that read files,
// write some, or go to all members.
func TestWhatDependsOnMoreThanTheSpecIsPlannedWhenItIsDue(t *testing.T) {
	n, l, _ := holding(t, 8, nil)
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, []byte("in"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, spec := range map[string]job.Spec{
		"files":   {Processor: "hold", Input: job.Input{Globs: []string{file}}},
		"output":  {Processor: "hold", Output: job.Output{Dir: t.TempDir()}},
		"members": {Processor: "hold", Mode: job.Broadcast},
		"workers": {Processor: "hold", Mode: job.Sharded},
	} {
		spec.Name = name
		d := daily(t, n, l, spec)
		if e, ok, err := l.clock.ahead.workOut(wakeOf(&d)); ok || err != nil {
			t.Errorf("%s: got %+v, %v, want it to wait", name, e, err)
		}
	}
}
