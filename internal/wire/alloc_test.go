package wire

import (
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// TestTasksTakeNoAllocationsOfTheirOwn packs and unpacks a chunk, tasks on their
// way to a worker, and outcomes on their way back: what that takes does not grow
// with how many there are.
func TestTasksTakeNoAllocationsOfTheirOwn(t *testing.T) {
	const n = ChunkTasks
	var w ChunkWriter
	var tasks, outcomes []byte
	task := job.Task{ID: job.TaskID{Kind: job.KindMap}, Attempt: 1, Parent: job.TaskID{Kind: job.KindMap}, Name: "name", Payload: []byte("payload")}
	o := job.Outcome{Task: task.ID, Attempt: 1, Result: []byte("result"), Took: time.Millisecond}
	pack := func() {
		w.N, w.blob, w.name, tasks, outcomes = 0, w.blob[:0], "", tasks[:0], outcomes[:0]
		for i := range n {
			task.ID.N, o.Task.N = i, i
			err := w.Add(task.Name, task.Payload)
			tasks = AppendTask(tasks, &task)
			if outcomes, err = AppendOutcome(outcomes, &o); err != nil {
				t.Fatal(err)
			}
		}
	}
	unpack := func() {
		got := 0
		for sub, err := range Subtasks(n, w.blob) {
			if err != nil || sub.Name != task.Name {
				t.Fatal(sub, err)
			}
			got++
		}
		all, err := Tasks(n, tasks)
		if err != nil || len(all) != n || all[n-1].Name != task.Name {
			t.Fatal(len(all), err)
		}
		for o, err := range Outcomes(outcomes) {
			if err != nil || o.Failure != nil {
				t.Fatal(o, err)
			}
			got++
		}
		if got != 2*n {
			t.Fatalf("got %d tasks and outcomes, want %d", got, 2*n)
		}
	}
	pack() // makes the room
	for what, c := range map[string]struct {
		do   func()
		most float64
	}{
		"pack":   {pack, 0},
		"unpack": {unpack, 6}, // the names, the list of tasks, and what reads
	} {
		if got := testing.AllocsPerRun(10, c.do); got > c.most {
			t.Errorf("%s: %v allocations for %d tasks, want at most %v", what, got, n, c.most)
		}
	}
}
