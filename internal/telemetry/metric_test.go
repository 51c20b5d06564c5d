package telemetry

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/telemetry/telemetrytest"
)

func TestMetricsAddUpByBoundedAttributesAndNothingElse(t *testing.T) {
	var p telemetrytest.Metrics
	m, err := NewMetrics(&p)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	a := m.Attempts("wordcount")
	a.Ended(ctx, Succeeded, 2*time.Second)
	a.Ended(ctx, Succeeded, time.Second)
	a.Ended(ctx, TimedOut, time.Second)
	a.Ended(ctx, Refused, 0)
	a.Ended(ctx, Outcome(99), time.Second)
	m.Placed(ctx, 1000)
	m.Shuffled(ctx, Spilled, 10)
	m.Shuffled(ctx, Fetched, 20)
	m.Shuffled(ctx, Flow(-1), 20)
	m.Abandoned(ctx, 2)
	m.Abandoned(ctx, -1)
	m.RunEnded(ctx, "succeeded", "fire", 2*time.Second)
	m.RunEnded(ctx, "succeeded", "", -time.Second) // clocks differ
	m.Late(ctx, 3*time.Second)
	m.Settled(ctx, 2, "run")
	m.Settled(ctx, 0, "overlap")
	m.Led(ctx)
	m.Bulk(ctx, "cancel", 5, 1)
	m.Bulk(ctx, "cancel", 2, 0)
	m.Committed(ctx, m.Begin(ctx), 7)
	m.Applied(ctx, m.Begin(ctx))
	got, err := p.Sums(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{MetricCommitDuration, MetricApplyDuration} {
		if took, ok := got[name+"{}"]; !ok || took < 0 {
			t.Errorf("%s: got %v, want it measured", name, took)
		}
		delete(got, name+"{}")
	}
	want := map[string]float64{
		"muster.attempts{outcome=succeeded,processor=wordcount}":         2,
		"muster.attempts{outcome=timed_out,processor=wordcount}":         1,
		"muster.attempts{outcome=refused,processor=wordcount}":           1,
		"muster.attempt.duration{outcome=succeeded,processor=wordcount}": 3,
		"muster.attempt.duration{outcome=timed_out,processor=wordcount}": 1,
		"muster.tasks.placed{}":                            1000,
		"muster.shuffle.io{flow=spilled}":                  10,
		"muster.shuffle.io{flow=fetched}":                  20,
		"muster.goroutines.abandoned{}":                    1,
		"muster.runs.ended{origin=fire,state=succeeded}":   1,
		"muster.runs.ended{origin=submit,state=succeeded}": 1,
		"muster.run.duration{state=succeeded}":             2,
		"muster.fire.lateness{}":                           3,
		"muster.fires{outcome=run}":                        2,
		"muster.leader.changes{}":                          1,
		"muster.bulk.runs{outcome=done,verb=cancel}":       7,
		"muster.bulk.runs{outcome=refused,verb=cancel}":    1,
		"muster.state.commands{}":                          7,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestANodeIsLookedAtUntilItIsNot(t *testing.T) {
	var p telemetrytest.Metrics
	m, err := NewMetrics(&p)
	if err != nil {
		t.Fatal(err)
	}
	r := Reading{Members: 3, Waiting: 8, Running: 9, Ahead: -time.Second, Lines: 5, Dropped: 1}
	stop, err := m.Watch(func() Reading { return r })
	if err != nil {
		t.Fatal(err)
	}
	look := func() map[string]float64 {
		t.Helper()
		got, err := p.Sums(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := look()
	if got["muster.members{}"] != 3 || got["muster.clock.skew{}"] != -1 || got["muster.log.lines{}"] != 5 || got["muster.log.lines.dropped{}"] != 1 {
		t.Errorf("got %v", got)
	}
	for _, unknown := range []string{"muster.runs.waiting{}", "muster.runs.running{}", "muster.disk.free{}", "muster.disk.size{}"} {
		if n, ok := got[unknown]; ok {
			t.Errorf("got %s %v of a node that does not know", unknown, n)
		}
	}
	r.Leads, r.Free, r.Size = true, 1, 2
	if got = look(); got["muster.leader{}"] != 1 || got["muster.runs.waiting{}"] != 8 || got["muster.runs.running{}"] != 9 || got["muster.disk.free{}"] != 1 {
		t.Errorf("got %v of a leader", got)
	}
	if err := stop(); err != nil || len(look()) > 0 {
		t.Errorf("got %v, %v after the end", look(), err)
	}
}

func TestAnInstrumentThatIsRefusedIsNamed(t *testing.T) {
	m, err := NewMetrics(&telemetrytest.Metrics{Refuse: MetricFires})
	if m != nil || err == nil || !strings.Contains(err.Error(), MetricFires) {
		t.Errorf("got %v, %v, want an error about %s", m, err, MetricFires)
	}
	if m, err = NewMetrics(&telemetrytest.Metrics{Refuse: MetricMembers}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Watch(func() Reading { return Reading{} }); err == nil || !strings.Contains(err.Error(), MetricMembers) {
		t.Errorf("got %v, want an error about %s", err, MetricMembers)
	}
}

func TestWithoutMetricsNothingHappens(t *testing.T) {
	var m *Metrics
	m.Attempts("p").Ended(t.Context(), Failed, time.Second)
	m.Placed(t.Context(), 1)
	m.Shuffled(t.Context(), Served, 1)
	m.Abandoned(t.Context(), 1)
	m.RunEnded(t.Context(), "failed", "", time.Second)
	m.Late(t.Context(), time.Second)
	m.Settled(t.Context(), 1, "run")
	m.Led(t.Context())
	m.Committed(t.Context(), m.Begin(t.Context()), 1)
	m.Applied(t.Context(), m.Begin(t.Context()))
	stop, err := m.Watch(nil)
	if err != nil || stop() != nil {
		t.Error(err)
	}
}

func TestEveryOutcomeHasAName(t *testing.T) {
	for o := range outcomes {
		if o.String() == "" || o.String() == "unknown" {
			t.Errorf("outcome %d has no name", o)
		}
	}
	if got := Outcome(-1).String(); got != "unknown" {
		t.Errorf("got %q, want unknown", got)
	}
}

func BenchmarkEndedWithoutSDK(b *testing.B) {
	m, err := NewMetrics(nil)
	if err != nil {
		b.Fatal(err)
	}
	a := m.Attempts("p")
	for b.Loop() {
		a.Ended(context.Background(), Succeeded, time.Second)
	}
}
