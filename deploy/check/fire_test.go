package check

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// stories are, of each alert, measurements of two hours, one a minute, at whose
// end it is to fire, and such at whose end it is not.
var stories = map[string]struct{ fires, quiet []string }{
	"MusterNoLeader": {
		fires: []string{`muster_leader{instance="a"} 0x120`, `other 1x120`},
		quiet: []string{`muster_leader{instance="a"} 0x120
			muster_leader{instance="b"} 1x120`},
	},
	"MusterNodeDown": {
		fires: []string{`up{job="muster",instance="a"} 0x120`},
		quiet: []string{`up{job="muster",instance="a"} 1x120
			up{job="other"} 0x120`},
	},
	"MusterLeaderChanges": {
		fires: []string{`muster_leader_changes_total{instance="a"} 0+1x120`, `muster_leader_changes_total{instance="a"} 0+0.1x120
			muster_leader_changes_total{instance="b"} 0+0.1x120`},
		quiet: []string{`muster_leader_changes_total{instance="a"} 9x120`},
	},
	"MusterMembersDiffer": {
		fires: []string{`muster_members{instance="a"} 3x120
			muster_members{instance="b"} 2x120`},
		quiet: []string{`muster_members{instance="a"} 3x120
			muster_members{instance="b"} 3x120`},
	},
	"MusterCommitSlow": {
		fires: []string{`muster_state_commit_duration_seconds_bucket{le="0.1"} 0+1x120
			muster_state_commit_duration_seconds_bucket{le="1"} 0+60x120
			muster_state_commit_duration_seconds_bucket{le="+Inf"} 0+60x120`},
		quiet: []string{`muster_state_commit_duration_seconds_bucket{le="0.1"} 0+60x120
			muster_state_commit_duration_seconds_bucket{le="1"} 0+60x120
			muster_state_commit_duration_seconds_bucket{le="+Inf"} 0+60x120`},
	},
	"MusterFiresLate": {
		fires: []string{`muster_fire_lateness_seconds_bucket{le="5"} 0+1x120
			muster_fire_lateness_seconds_bucket{le="15"} 0+60x120
			muster_fire_lateness_seconds_bucket{le="+Inf"} 0+60x120`},
		quiet: []string{`muster_fire_lateness_seconds_bucket{le="5"} 0+60x120
			muster_fire_lateness_seconds_bucket{le="15"} 0+60x120
			muster_fire_lateness_seconds_bucket{le="+Inf"} 0+60x120`},
	},
	"MusterFiresMissed": {
		fires: []string{`muster_fires_total{outcome="misfire"} 0x110 5x10`},
		quiet: []string{`muster_fires_total{outcome="misfire"} 5x120
			muster_fires_total{outcome="run"} 0+1x120`},
	},
	"MusterRunsFail": {
		fires: []string{`muster_runs_ended_total{state="failed",origin="fire"} 0+1x120
			muster_runs_ended_total{state="succeeded",origin="fire"} 0+2x120`},
		quiet: []string{`muster_runs_ended_total{state="failed",origin="fire"} 0+1x120
			muster_runs_ended_total{state="succeeded",origin="fire"} 0+20x120`, `muster_runs_ended_total{state="failed",origin="fire"} 0+0.1x120`},
	},
	"MusterAttemptsFail": {
		fires: []string{`muster_attempts_total{processor="p",outcome="failed"} 0+2x120
			muster_attempts_total{processor="p",outcome="timed_out"} 0+1x120
			muster_attempts_total{processor="p",outcome="succeeded"} 0+5x120`},
		quiet: []string{`muster_attempts_total{processor="p",outcome="failed"} 0+2x120
			muster_attempts_total{processor="p",outcome="succeeded"} 0+50x120`},
	},
	"MusterQueueGrows": {
		fires: []string{`muster_runs_waiting 1000+10x120`},
		quiet: []string{`muster_runs_waiting 100+1x120`, `muster_runs_waiting 9000-10x120`},
	},
	"MusterNoSlots": {
		fires: []string{`muster_attempts_running{instance="a"} 4x120
			muster_slots{instance="a"} 4x120
			muster_tasks_queued{instance="a"} 1x120`},
		quiet: []string{`muster_attempts_running{instance="a"} 4x120
			muster_slots{instance="a"} 4x120
			muster_tasks_queued{instance="a"} 0x120`, `muster_attempts_running{instance="a"} 3x120
			muster_slots{instance="a"} 4x120
			muster_tasks_queued{instance="a"} 1x120`},
	},
	"MusterAbandoned": {
		fires: []string{`muster_goroutines_abandoned{instance="a"} 1x120`},
		quiet: []string{`muster_goroutines_abandoned{instance="a"} 0x120`},
	},
	"MusterClockSkew": {
		fires: []string{`muster_clock_skew_seconds{instance="a"} 1.5x120`, `muster_clock_skew_seconds{instance="a"} -1.5x120`},
		quiet: []string{`muster_clock_skew_seconds{instance="a"} -0.2x120`},
	},
	"MusterDiskFills": {
		fires: []string{`muster_disk_free_bytes{instance="a"} 9e9x120
			muster_disk_size_bytes{instance="a"} 1e11x120`, `muster_disk_free_bytes{instance="a"} 2e9x120
			muster_disk_size_bytes{instance="a"} 1e10x120`},
		quiet: []string{`muster_disk_free_bytes{instance="a"} 11e9x120
			muster_disk_size_bytes{instance="a"} 1e11x120`},
	},
	"MusterDiskFull": {
		fires: []string{`muster_disk_free_bytes{instance="a"} 4e9x120
			muster_disk_size_bytes{instance="a"} 1e11x120`, `muster_disk_free_bytes{instance="a"} 1e9x120
			muster_disk_size_bytes{instance="a"} 1e10x120`},
		quiet: []string{`muster_disk_free_bytes{instance="a"} 9e9x120
			muster_disk_size_bytes{instance="a"} 1e11x120`},
	},
	"MusterLogLinesLost": {
		fires: []string{`muster_log_lines_dropped_total{instance="a"} 0+1x120`},
		quiet: []string{`muster_log_lines_dropped_total{instance="a"} 7x120`},
	},
}

func TestEachAlertFiresWhenItShouldAndElseNot(t *testing.T) {
	parse := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.ParseFile("../prometheus/alerts.yaml", false, model.LegacyValidation, parse, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	engine := promqltest.NewTestEngine(t, false, 0, 100_000)
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			t.Run(r.Alert, func(t *testing.T) {
				story := stories[r.Alert]
				if len(story.fires) == 0 || len(story.quiet) == 0 {
					t.Fatal("it has no story")
				}
				for fires, series := range map[bool][]string{true: story.fires, false: story.quiet} {
					for _, s := range series {
						if got := fired(t, engine, r.Expr, s); (len(got) > 0) != fires {
							t.Errorf("got %v of\n%s\nwant it to fire: %v", got, s, fires)
						}
					}
				}
			})
		}
	}
}

// fired returns what an expression comes to at the end of series.
func fired(t *testing.T, engine *promql.Engine, expr, series string) promql.Vector {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n"+series+"\n")
	q, err := engine.NewInstantQuery(t.Context(), storage, nil, expr, time.Unix(0, 0).Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	v, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	return v
}
