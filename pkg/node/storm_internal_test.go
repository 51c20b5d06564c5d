package node

import (
	"fmt"
	"testing"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// recordAhead has the fires of jobs that are due once a day recorded ahead, and
// returns what was given back.
func recordAhead(t *testing.T, n *Node, l *leader, specs ...job.Spec) (of []job.Declared, rest map[string]bool) {
	t.Helper()
	taken := map[jobRef]early{}
	for _, spec := range specs {
		d := daily(t, n, l, spec)
		e, ok, err := l.clock.ahead.workOut(wakeOf(&d))
		if err != nil || !ok {
			t.Fatalf("%s: got %v, %v, want it to be worked out", spec.Name, ok, err)
		}
		taken[jobRef{"default", spec.Name}] = e
		of = append(of, d)
	}
	if err := l.clock.storms.record(of[0].Fires.Wake, taken); err != nil {
		t.Fatal(err)
	}
	rest = map[string]bool{}
	l.clock.ahead.mu.Lock()
	defer l.clock.ahead.mu.Unlock()
	for ref, e := range l.clock.ahead.early {
		if e.waits {
			rest[ref.name] = true
		}
	}
	return of, rest
}

func fireOf(d *job.Declared) job.RunID {
	return job.FireID("default", d.Spec.Name, d.Fires.Wake)
}

// TestWhatIsRecordedAheadLeavesRoom records more than half of what may go on.
func TestWhatIsRecordedAheadLeavesRoom(t *testing.T) {
	n, l, h := holding(t, 8, func(cfg *Config) { cfg.MaxRuns = 10 })
	var specs []job.Spec
	for i := range 8 {
		specs = append(specs, job.Spec{Name: fmt.Sprintf("j%d", i), Processor: "hold"})
	}
	of, rest := recordAhead(t, n, l, specs...)
	if len(rest) != 3 {
		t.Fatalf("%d of 8 wait until they are due, want 3", len(rest))
	}
	if err := l.clock.storms.beginAt(of[0].Fires.Wake); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if id := <-h.at; rest[jobIn(id)] {
			t.Errorf("run %s began, and was not recorded", id)
		}
	}
	for i := range of {
		run, err := l.state.Run(fireOf(&of[i]))
		if waits := rest[of[i].Spec.Name]; waits != is(err, state.ErrNoRun) || !waits && run.State != job.Running {
			t.Errorf("%s: got %v, %v", of[i].Spec.Name, run.State, err)
		}
	}
}

// TestOnlyWhatNothingBoundsIsRecordedAhead has a job with a limit of its own, and
// one whose run of the day before goes on.
func TestOnlyWhatNothingBoundsIsRecordedAhead(t *testing.T) {
	n, l, h := holding(t, 8, nil)
	of, rest := recordAhead(t, n, l, job.Spec{Name: "bounded", Processor: "hold", MaxRuns: 3}, job.Spec{Name: "free", Processor: "hold"})
	if len(rest) != 1 || !rest["bounded"] {
		t.Errorf("%v wait until they are due, want the one that is bounded", rest)
	}
	if err := l.clock.storms.beginAt(of[0].Fires.Wake); err != nil {
		t.Fatal(err)
	}
	<-h.at
	d, err := l.state.Job("default", "free")
	if err != nil {
		t.Fatal(err)
	}
	e, ok, err := l.clock.ahead.workOut(wakeOf(&d))
	if err != nil || !ok {
		t.Fatalf("got %v, %v, want it to be worked out", ok, err)
	}
	if err := l.clock.storms.record(d.Fires.Wake, map[jobRef]early{{"default", "free"}: e}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.state.Run(fireOf(&d)); !is(err, state.ErrNoRun) {
		t.Errorf("the fire was recorded ahead while the run before goes on: %v", err)
	}
	l.clock.ahead.mu.Lock()
	defer l.clock.ahead.mu.Unlock()
	if !l.clock.ahead.early[jobRef{"default", "free"}].waits {
		t.Error("what was worked out is not kept until it is due")
	}
}

// TestARunThatIsMadeInPlaceOfOneThatWasWithdrawnBegins changes a job whose fire was
// recorded ahead, and has it fire again while the leader does not know yet that the
// run was withdrawn.
func TestARunThatIsMadeInPlaceOfOneThatWasWithdrawnBegins(t *testing.T) {
	n, l, h := holding(t, 8, nil)
	of, _ := recordAhead(t, n, l, job.Spec{Name: "j", Processor: "hold"}, job.Spec{Name: "other", Processor: "hold"})
	again := daily(t, n, l, job.Spec{Name: "j", Processor: "hold", Params: "changed"})
	if fireOf(&again) != fireOf(&of[0]) {
		t.Skip("a day has begun meanwhile")
	}
	e, ok, err := l.clock.ahead.workOut(wakeOf(&again))
	if err != nil || !ok {
		t.Fatalf("got %v, %v, want it to be worked out", ok, err)
	}
	f, err := l.clock.ahead.unpack(e.firing)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.clock.fireAll([]state.Firing{f}); err != nil {
		t.Fatal(err)
	}
	if err := l.clock.storms.beginAt(of[0].Fires.Wake); err != nil {
		t.Fatal(err)
	}
	began := map[job.RunID]bool{<-h.at: true, <-h.at: true}
	if !began[fireOf(&of[0])] || !began[fireOf(&of[1])] {
		t.Errorf("%v began, want both", began)
	}
	if run, err := l.state.Run(fireOf(&again)); err != nil || run.Spec.Params != "changed" {
		t.Errorf("got %+v, %v, want the run as the job is by now", run, err)
	}
}

// TestAMasterThatForgotWhatItHoldsIsToldAgain drops what a master holds.
func TestAMasterThatForgotWhatItHoldsIsToldAgain(t *testing.T) {
	n, l, h := holding(t, 8, nil)
	of, _ := recordAhead(t, n, l, job.Spec{Name: "j", Processor: "hold"})
	n.masters.standby.stop()
	if err := l.clock.storms.beginAt(of[0].Fires.Wake); err != nil {
		t.Fatal(err)
	}
	if id := <-h.at; id != fireOf(&of[0]) {
		t.Errorf("run %s began, want %s", id, fireOf(&of[0]))
	}
	if err := n.masters.standby.begin(n.id, wire.BeginHeld{Number: 1}); !is(err, errNoMaster) {
		t.Errorf("got %v of what is not held", err)
	}
}
