//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/host"
	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/pkg/job"
)

// report is the end of a story.
type report struct {
	o          options
	evidence   verdict.Evidence
	verdict    verdict.Verdict
	recoveries map[int]verdict.Recovery
	mishaps    []string
	took       time.Duration
}

func newReport(c *cluster, e verdict.Evidence, v verdict.Verdict, took time.Duration) report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return report{o: c.o, evidence: e, verdict: v, recoveries: verdict.Recoveries(e), mishaps: c.mishaps, took: took}
}

// The bounds of how long recoveries may take. A busy machine may miss them, so
// they decide nothing: what they are held against is in the table.
const (
	workerBound = 5 * time.Second
	masterBound = 5 * time.Second
	leaderBound = 3 * time.Second
)

// table prints the report for people.
func (r *report) table(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\nfault\ttimes\tworker\tmaster\tleader\t\n")
	kinds, count := map[string]verdict.Recovery{}, map[string]int{}
	for i, f := range r.evidence.Faults {
		one := map[int]verdict.Recovery{0: kinds[f.Kind], 1: r.recoveries[i]}
		kinds[f.Kind] = verdict.Slowest(one)
		count[f.Kind]++
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[kind]
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t\n", kind, count[kind], seconds(k.Worker), seconds(k.Master), seconds(k.Leader))
	}
	s := verdict.Slowest(r.recoveries)
	fmt.Fprintf(w, "slowest\t%d\t%s\t%s\t%s\t\n", len(r.evidence.Faults), seconds(s.Worker), seconds(s.Master), seconds(s.Leader))
	fmt.Fprintf(w, "bound\t\t%s\t%s\t%s\t\n", seconds(workerBound), seconds(masterBound), seconds(leaderBound))
	_ = w.Flush()
	for i, f := range r.evidence.Faults {
		if k := r.recoveries[i]; k.Worker > workerBound || k.Master > masterBound || k.Leader > leaderBound {
			fmt.Fprintf(out, "over the bound: %s of %s at %s: worker %s, master %s, leader %s\n", f.Kind, strings.Join(f.Nodes, ", "),
				f.Began.Format("15:04:05.000"), seconds(k.Worker), seconds(k.Master), seconds(k.Leader))
		}
	}
	if !host.Isolated() {
		fmt.Fprintln(out, "\nnothing was cut off and no disk was filled: hosts are not apart here")
	}
	v := r.verdict
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range []struct {
		what string
		n    any
		more string
	}{
		{"runs", v.Runs, byKind(r.evidence.Runs)},
		{"tasks", v.Tasks, ""},
		{"lost", v.Lost, "tasks that were accepted and have no outcome"},
		{"duplicated", v.Duplicated, "tasks that count more than once"},
		{"executions", v.Executions, fmt.Sprintf("%d of them of tasks that had been done: allowed while the news is under way", v.Extra)},
		{"watched", v.Watched, fmt.Sprintf("tasks recorded before their run got another master; %d of them executed again", v.Rerun)},
		{"unanswered", v.Unknown, fmt.Sprintf("submissions; %d of them had been accepted", v.Accepted)},
		{"refused", v.Refused, "writes to servers that were cut off"},
		{"complaints", len(v.Complaints) + len(r.mishaps), ""},
	} {
		fmt.Fprintf(w, "%s\t%v\t%s\n", line.what, line.n, line.more)
	}
	_ = w.Flush()
	for _, why := range some(refusals(r.evidence.Writes), 3) {
		fmt.Fprintf(out, "  refused with: %.200s\n", why)
	}
	for _, c := range some(v.Complaints, 30) {
		fmt.Fprintf(out, "  !! %v\n", c)
	}
	for _, m := range r.mishaps {
		fmt.Fprintf(out, "  !! %.1000s\n", m)
	}
}

func some[T any](all []T, most int) []T { return all[:min(most, len(all))] }

func byKind(runs []verdict.Run) string {
	count := map[string]int{}
	for _, r := range runs {
		count[r.Kind]++
	}
	all := make([]string, 0, len(count))
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		all = append(all, fmt.Sprintf("%d %s", count[kind], kind))
	}
	return strings.Join(all, ", ")
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// write prints the report for programs, in one line.
func (r *report) write(out io.Writer) error {
	faults := map[string]int{}
	for _, f := range r.evidence.Faults {
		faults[f.Kind]++
	}
	s := verdict.Slowest(r.recoveries)
	return json.NewEncoder(out).Encode(map[string]any{
		"scenario": r.o.scenario, "seed": r.o.seed, "duration_seconds": number(r.took),
		"servers": r.o.servers, "workers": r.o.workers, "isolated": host.Isolated(),
		"faults": faults, "runs": r.verdict.Runs, "tasks": r.verdict.Tasks,
		"lost": r.verdict.Lost, "duplicated": r.verdict.Duplicated, "complaints": len(r.verdict.Complaints) + len(r.mishaps),
		"executions": r.verdict.Executions, "extra_executions": r.verdict.Extra,
		"watched": r.verdict.Watched, "rerun": r.verdict.Rerun, "refused": r.verdict.Refused,
		"slowest_recovery_seconds": map[string]*float64{"worker": measured(s.Worker), "master": measured(s.Master), "leader": measured(s.Leader)},
	})
}

func number(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// measured is null if there was nothing to measure.
func measured(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	n := number(d)
	return &n
}

// tellHistory prints what happened to a run and when.
func tellHistory(run job.Run) {
	say("the history of %s:", run.ID)
	for _, h := range run.History {
		say("  %s  %s", h.At.Local().Format("15:04:05.000"), h.What)
	}
	say("  %s  ended as %v in epoch %d: %d of %d tasks, %d attempts", run.Finished.Local().Format("15:04:05.000"), run.State, run.Epoch,
		run.Progress.Done, run.Progress.Tasks, run.Progress.Attempts)
}
