package verdict

import (
	"testing"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/pkg/job"
)

const run = job.RunID("default/fan@1")

// lost is node a, gone from 10 s to 20 s, which led and conducted the run.
func lost() Fault {
	return Fault{
		Kind: "kill-leader", Nodes: []string{"a"}, Gone: true, Leader: true, Masters: map[job.RunID]uint64{run: 3},
		Began: at(10 * time.Second), Ended: at(20 * time.Second),
	}
}

func execution(node, task string, began, ended float64) ledger.Execution {
	x := ledger.Execution{Node: node, Run: string(run), Task: task, Attempt: 1, Began: seconds(began)}
	if ended > 0 {
		x.Ended = seconds(ended)
	}
	return x
}

func seconds(s float64) time.Time { return at(time.Duration(s * float64(time.Second))) }

func sample(s float64, epoch uint64, done int) Sample {
	return Sample{At: seconds(s), Run: run, Epoch: epoch, Done: done}
}

func write(began, ended float64, err string) Write {
	return Write{Began: seconds(began), Ended: seconds(ended), Err: err}
}

func TestRecoveries(t *testing.T) {
	over := Run{Final: &job.Run{ID: run, State: job.Succeeded, Finished: at(16 * time.Second)}}
	for _, test := range []struct {
		name string
		e    Evidence
		want Recovery
	}{
		{"the last of a worker's tasks is executed elsewhere", Evidence{Executions: []ledger.Execution{
			execution("a", "m1", 9, 0), execution("a", "m2", 9.5, 0), execution("b", "m3", 9, 0), execution("a", "m4", 1, 2),
			execution("b", "m1", 12, 13), execution("b", "m4", 12, 13), execution("c", "m2", 13, 14), execution("c", "m2", 19, 20),
		}}, Recovery{Worker: 3 * time.Second}},
		{"a worker that was paused finishes before others begin", Evidence{Executions: []ledger.Execution{
			execution("a", "m1", 9, 11), execution("b", "m1", 12, 13),
		}}, Recovery{Worker: time.Second}},
		{"another attempt was under way already", Evidence{Executions: []ledger.Execution{
			execution("b", "m1", 8, 12), execution("a", "m1", 9, 0),
		}}, Recovery{}},
		{"the task was done elsewhere before", Evidence{Executions: []ledger.Execution{
			execution("b", "m1", 8, 9.5), execution("a", "m1", 9, 0),
		}}, Recovery{}},
		{"the task is not needed any more", Evidence{Runs: []Run{over}, Executions: []ledger.Execution{execution("a", "m1", 9, 0)}}, Recovery{
			Worker: 6 * time.Second, Master: 6 * time.Second,
		}},
		{"the next master has more done", Evidence{Progress: []Sample{
			sample(9, 3, 10), sample(11, 3, 10), sample(12, 4, 8), sample(13, 4, 10), sample(14, 4, 11), sample(15, 4, 12),
		}}, Recovery{Master: 4 * time.Second}},
		{"the next master has lost output made again", Evidence{Runs: []Run{{ID: run, Keyed: true}}, Progress: []Sample{
			sample(9, 3, 10), sample(11, 3, 10), sample(12, 4, 8), sample(13, 4, 7), sample(14, 4, 8), sample(15, 4, 12),
		}}, Recovery{Master: 4 * time.Second}},
		{"nobody has", Evidence{Progress: []Sample{sample(9, 3, 10), sample(18, 4, 10)}}, Recovery{Master: 8 * time.Second}},
		{"the next leader accepts a write", Evidence{Writes: []Write{
			write(9.9, 10.1, ""), write(10, 11, "nobody there"), write(11, 14, ""), write(12, 13, ""), {Began: seconds(11), Ended: seconds(12), Cut: true},
		}}, Recovery{Leader: 3 * time.Second}},
		{"none does", Evidence{Writes: []Write{write(10, 11, "nobody there"), write(12, 19, "nobody there")}}, Recovery{Leader: 9 * time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.e.Faults = []Fault{lost()}
			if got := Slowest(Recoveries(test.e)); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// TestWhatOneFaultTookIsNotAnothers loses an attempt, and then the next life of
// its node.
func TestWhatOneFaultTookIsNotAnothers(t *testing.T) {
	first, second := lost(), lost()
	first.Began, first.Ended = seconds(5), seconds(6)
	first.Leader, second.Leader, first.Masters, second.Masters = false, false, nil, nil
	e := Evidence{Faults: []Fault{first, second}, Executions: []ledger.Execution{
		execution("a", "m1", 4, 0), execution("b", "m1", 7, 8), execution("b", "m1", 14, 15),
	}}
	if got := Recoveries(e); len(got) != 1 || got[0].Worker != 2*time.Second {
		t.Errorf("got %v, want 2 s for the first and none for the second", got)
	}
}

// TestAStopInPeaceLosesNoTask measures how long the others did without the
// leader and the masters, and not what was executing: that comes to its end.
func TestAStopInPeaceLosesNoTask(t *testing.T) {
	f := lost()
	f.Gone, f.Peace = false, true
	e := Evidence{Faults: []Fault{f}, Writes: []Write{write(10, 15, "")}, Executions: []ledger.Execution{execution("a", "m1", 9, 0), execution("b", "m1", 12, 13)}}
	got := Slowest(Recoveries(e))
	if got.Worker != 0 || got.Leader == 0 {
		t.Errorf("got %+v, want what the leader took alone", got)
	}
}

func TestWhatIsNotGoneNeedNotRecover(t *testing.T) {
	f := lost()
	f.Gone = false
	e := Evidence{Faults: []Fault{f}, Writes: []Write{write(10, 15, "")}, Executions: []ledger.Execution{execution("a", "m1", 9, 0), execution("b", "m1", 12, 13)}}
	if got := Recoveries(e); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}
