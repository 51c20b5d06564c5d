package worker

import (
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// TestAReportOfARunThatIsOverIsNotWaitedFor forgets a run whose report the host
// has not answered: a drain does not wait for that, and the answer, when it comes
// after all, changes nothing of the run that has the ID by then.
func TestAReportOfARunThatIsOverIsNotWaitedFor(t *testing.T) {
	reported, answer := make(chan struct{}), make(chan struct{})
	h := newHost()
	h.report = func(_ job.RunID, epoch uint64, _ []job.Outcome) {
		if epoch == 1 {
			reported <- struct{}{}
			<-answer
		}
	}
	w, _ := start(t, Config{Processors: processors(noop), Host: h}, nil)
	first := newTestRun("default/small@1", "p")
	task := job.Task{ID: job.TaskID{Kind: job.KindMap}, Attempt: 1}
	w.Take(job.Batch{Run: first, Tasks: []job.Task{task}})
	<-reported
	w.Forget(first.ID)

	again := newTestRun(first.ID, "p")
	again.Epoch, again.Created = 2, first.Created.Add(1)
	if refused := w.Take(job.Batch{Run: again, Tasks: []job.Task{task}}); len(refused) > 0 {
		t.Fatalf("the run that came after it is refused: %+v", refused)
	}
	if got := h.await(again.ID, 1); got[0].Failure != nil {
		t.Fatalf("got %+v", got[0])
	}
	if err := w.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	close(answer)
}
