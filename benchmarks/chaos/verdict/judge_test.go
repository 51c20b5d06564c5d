package verdict

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// start is when all evidence here begins.
var start = time.Date(2026, 3, 29, 3, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

// honest makes the evidence of a cluster that kept every promise: runs of
// about four seconds whose master is lost in the middle, with some attempts
// lost and made again.
func honest(rng *rand.Rand) Evidence {
	var e Evidence
	nodes := []string{"a", "b", "c"}
	for n := range 3 + rng.IntN(5) {
		began := time.Duration(n) * 20 * time.Second
		r := Run{
			Kind: "fan", Key: fmt.Sprintf("key-%d", n), ID: job.RunID(fmt.Sprintf("default/fan@%d", n)),
			Submitted: at(began), Accepted: at(began + 10*time.Millisecond), Want: map[string]string{}, Noted: true,
		}
		kill := Fault{
			Kind: "kill-master", Nodes: []string{"a"}, Gone: true, Masters: map[job.RunID]uint64{r.ID: 1},
			Began: at(began + 6*time.Second), Ended: at(began + 7*time.Second),
		}
		members := map[string]int{}
		tasks := 5 + rng.IntN(20)
		for i := range tasks {
			key := strconv.Itoa(i)
			r.Want[key] = "v" + key
			r.Got = append(r.Got, Item{key, "v" + key})
			node := nodes[rng.IntN(len(nodes))]
			members[node]++
			x := ledger.Execution{Node: node, Run: string(r.ID), Task: "m" + key, Attempt: 1, Began: at(began + time.Second)}
			x.Ended = x.Began.Add(time.Duration(rng.IntN(1000)) * time.Millisecond)
			if i%5 == 4 { // it was executing where the master was lost, and was executed again
				x.Node, x.Began, x.Ended = "a", kill.Began.Add(-time.Second), time.Time{}
				e.Executions = append(e.Executions, x)
				x.Node, x.Attempt, x.Began, x.Ended = "b", 2, kill.Began.Add(time.Second), kill.Began.Add(2*time.Second)
			}
			e.Executions = append(e.Executions, x)
		}
		r.Tasks = tasks
		final := job.Run{
			ID: r.ID, Key: r.Key, State: job.Succeeded, Epoch: 2, Finished: at(began + 9*time.Second),
			Progress: job.Progress{Tasks: tasks, Done: tasks, Attempts: tasks, Members: members},
		}
		seen := final
		r.Seen, r.Final = &seen, &final
		e.Runs = append(e.Runs, r)
		e.Listed = append(e.Listed, final)
		e.Faults = append(e.Faults, kill)
	}
	e.Writes = []Write{{Began: at(0), Ended: at(time.Second)}, {Began: at(0), Ended: at(time.Second), Cut: true, Err: "no quorum"}}
	slices.SortStableFunc(e.Executions, func(a, b ledger.Execution) int { return a.Began.Compare(b.Began) })
	return e
}

func TestHonestEvidenceIsNotComplainedOf(t *testing.T) {
	for seed := range uint64(200) {
		e := honest(rand.New(rand.NewPCG(seed, seed)))
		v := Judge(e)
		if !v.OK() || v.Lost != 0 || v.Duplicated != 0 || v.Rerun != 0 || v.Watched == 0 || v.Runs != len(e.Runs) || v.Refused != 1 {
			t.Fatalf("seed %d: got %+v", seed, v)
		}
	}
}

// TestEachLieIsFound forges honest evidence in one way after the other, in a
// run and a task drawn by chance.
func TestEachLieIsFound(t *testing.T) {
	for _, lie := range []struct {
		name       string
		tell       func(e *Evidence, r *Run, rng *rand.Rand)
		complaint  string
		lost       bool
		duplicated bool
	}{
		{"a run is gone", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Final = nil }, "is not there", true, false},
		{"a run never ends", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Final.State, r.Final.Progress.Done = job.Running, 1 }, "still running", true, false},
		{"a run fails", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Final.State, r.Final.Reason = job.Failed, "bad luck" }, "bad luck", false, false},
		{"a run changes after its end", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Seen.State = job.Failed }, "changed after", false, false},
		{"a run ends twice", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Final.Finished = r.Final.Finished.Add(1) }, "changed after", false, false},
		{"a task is lost", func(_ *Evidence, r *Run, rng *rand.Rand) {
			n := rng.IntN(len(r.Got))
			r.Got = slices.Delete(r.Got, n, n+1)
		}, "has no result", true, false},
		{"a task counts twice", func(_ *Evidence, r *Run, rng *rand.Rand) {
			r.Got = append(r.Got, r.Got[rng.IntN(len(r.Got))])
		}, "more than once", false, true},
		{"one is lost and another counts twice", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Got[0] = r.Got[1] }, "has no result", true, true},
		{"a value is wrong", func(_ *Evidence, r *Run, rng *rand.Rand) { r.Got[rng.IntN(len(r.Got))].Value = "w" }, "is wrong", false, false},
		{"two values change places", func(_ *Evidence, r *Run, _ *rand.Rand) {
			r.Got[0].Value, r.Got[1].Value = r.Got[1].Value, r.Got[0].Value
		}, "is wrong", false, false},
		{"there is more than was asked for", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Got = append(r.Got, Item{"x", "v"}) }, "not asked for", false, false},
		{"the result can't be read", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Unread = "gone" }, "can't be read", false, false},
		{"a failure has no excuse", func(_ *Evidence, r *Run, _ *rand.Rand) {
			r.Excused = map[string]string{r.Got[0].Key: "left"}
			r.Final.Progress.Done--
			r.Final.Progress.Failed++
			r.Got = r.Got[1:]
		}, "has no result", true, false},
		{"progress is short of one", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Final.Progress.Done-- }, "tasks are done", true, false},
		{"progress has one too many", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Final.Progress.Done++ }, "tasks are done", false, true},
		{"there are more tasks than there were", func(_ *Evidence, r *Run, _ *rand.Rand) {
			r.Final.Progress.Tasks++
			r.Final.Progress.Done++
		}, "counts", false, false},
		{"a task is still placed", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Final.Progress.Running = 1 }, "still placed", false, false},
		{"the members count for more", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Final.Progress.Members["a"]++ }, "members completed", false, false},
		{"there were no attempts", func(_ *Evidence, r *Run, _ *rand.Rand) { r.Final.Progress.Attempts = 0 }, "attempts for", false, false},
		{"a task that counts was never executed", func(e *Evidence, r *Run, _ *rand.Rand) {
			e.Executions = slices.DeleteFunc(e.Executions, func(x ledger.Execution) bool { return x.Run == string(r.ID) && x.Task == "m0" })
		}, "came to a good end", true, false},
		{"a task that counts only ever failed", func(e *Evidence, r *Run, _ *rand.Rand) {
			for i := range e.Executions {
				if x := &e.Executions[i]; x.Run == string(r.ID) && x.Task == "m0" {
					x.Err = "no luck"
				}
			}
		}, "came to a good end", true, false},
		{"a task is executed before its run is there", func(e *Evidence, r *Run, _ *rand.Rand) {
			e.Executions = append(e.Executions, ledger.Execution{Node: "a", Run: string(r.ID), Task: "m0", Began: r.Submitted.Add(-1)})
		}, "before the run", false, false},
		{"a finished task is executed by the next master", func(e *Evidence, r *Run, _ *rand.Rand) {
			e.Executions = append(e.Executions, ledger.Execution{
				Node: "c", Run: string(r.ID), Task: "m0", Attempt: 2, Began: r.Submitted.Add(7 * time.Second), Ended: r.Submitted.Add(8 * time.Second),
			})
		}, "was executed again", false, false},
		{"a finished task is executed by the same master", func(e *Evidence, r *Run, _ *rand.Rand) {
			e.Faults = nil
			e.Executions = append(e.Executions, ledger.Execution{
				Node: "c", Run: string(r.ID), Task: "m0", Attempt: 2, Began: r.Submitted.Add(7 * time.Second), Ended: r.Submitted.Add(8 * time.Second),
			})
		}, "under the same master", false, false},
		{"a run comes from nowhere", func(e *Evidence, _ *Run, _ *rand.Rand) {
			e.Listed = append(e.Listed, job.Run{ID: "default/x@1", Key: "x"})
		}, "nobody submitted", false, false},
		{"a submission makes two runs", func(e *Evidence, r *Run, _ *rand.Rand) {
			again := *r.Final
			again.ID += "-2"
			e.Listed = append(e.Listed, again)
		}, "made the run", false, true},
		{"a stop in peace breaks off an attempt", func(e *Evidence, r *Run, _ *rand.Rand) {
			f := Fault{Kind: "restart-all", Nodes: []string{"c"}, Peace: true, Began: r.Submitted.Add(17 * time.Second), Ended: r.Submitted.Add(18 * time.Second)}
			e.Faults = append(e.Faults, f)
			e.Executions = append(e.Executions, ledger.Execution{Node: "c", Run: string(r.ID), Task: "m0", Attempt: 2, Began: f.Began.Add(-time.Second)})
		}, "did not come to its end", false, false},
		{"a drain calls off an attempt", func(e *Evidence, r *Run, _ *rand.Rand) {
			f := Fault{Kind: "drain-node", Nodes: []string{"c"}, Peace: true, Began: r.Submitted.Add(17 * time.Second), Ended: r.Submitted.Add(18 * time.Second)}
			e.Faults = append(e.Faults, f)
			e.Executions = append(e.Executions, ledger.Execution{
				Node: "c", Run: string(r.ID), Task: "m0", Attempt: 2, Began: f.Began.Add(-time.Second), Ended: f.Began.Add(1), Err: "called off: " + mapreduce.ErrStopping.Error(),
			})
		}, "did not come to its end", false, false},
		{"a minority accepts a write", func(e *Evidence, _ *Run, _ *rand.Rand) {
			e.Writes = append(e.Writes, Write{Began: at(0), Ended: at(1), Cut: true})
		}, "cut off", false, false},
	} {
		t.Run(lie.name, func(t *testing.T) {
			for seed := range uint64(20) {
				rng := rand.New(rand.NewPCG(seed, 7))
				e := honest(rng)
				lie.tell(&e, &e.Runs[rng.IntN(len(e.Runs))], rng)
				v := Judge(e)
				if !slices.ContainsFunc(v.Complaints, func(c Complaint) bool { return strings.Contains(c.String(), lie.complaint) }) {
					t.Fatalf("seed %d: got complaints %q, want one with %q", seed, v.Complaints, lie.complaint)
				}
				if (v.Lost > 0) != lie.lost || (v.Duplicated > 0) != lie.duplicated {
					t.Errorf("seed %d: got %d lost and %d duplicated: %q", seed, v.Lost, v.Duplicated, v.Complaints)
				}
			}
		})
	}
}

func TestASubmissionThatNobodyAcknowledgedMayBeThereOrNot(t *testing.T) {
	e := honest(rand.New(rand.NewPCG(1, 1)))
	for i := range 2 {
		e.Runs[i].Accepted = time.Time{}
	}
	e.Runs[0].Final, e.Runs[0].Seen = nil, nil
	e.Listed = e.Listed[1:]
	v := Judge(e)
	if !v.OK() || v.Unknown != 2 || v.Accepted != 1 || v.Runs != len(e.Runs)-1 {
		t.Errorf("got %+v", v)
	}
}

func TestATaskThatWasUnderWayMayBeExecutedAgain(t *testing.T) {
	e := honest(rand.New(rand.NewPCG(1, 1)))
	r := &e.Runs[0]
	// It ended just before its master was lost, so the news may not have got
	// there.
	ended := e.Faults[0].Began.Add(-10 * time.Millisecond)
	for i := range e.Executions {
		if x := &e.Executions[i]; x.Run == string(r.ID) && x.Task == "m0" {
			x.Ended = ended
		}
	}
	e.Executions = append(e.Executions, ledger.Execution{
		Node: "c", Run: string(r.ID), Task: "m0", Attempt: 2, Began: ended.Add(3 * time.Second), Ended: ended.Add(4 * time.Second),
	})
	if v := Judge(e); !v.OK() || v.Extra == 0 {
		t.Errorf("got %+v, want an extra execution and no complaint", v)
	}
}

func TestANodeThatWasBrokenIsExcused(t *testing.T) {
	e := honest(rand.New(rand.NewPCG(1, 1)))
	r := &e.Runs[0]
	r.Noted = false
	r.Want["a"] = "a"
	r.Tasks++
	r.Excused = map[string]string{"a": "member a left before it was done"}
	r.Final.Progress.Tasks++
	r.Final.Progress.Failed++
	if v := Judge(e); !v.OK() {
		t.Errorf("got %+v", v)
	}
}
