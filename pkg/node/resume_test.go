package node_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// TestAJobThatIsNeverDueIsResumedInPeace resumes a job without a schedule, and
// has another one be due after that.
func TestAJobThatIsNeverDueIsResumedInPeace(t *testing.T) {
	ran := make(chan struct{}, 100)
	n := start(t, node.Config{Logger: slog.New(noErrors{quiet.Handler(), t}), Processors: mapreduce.Registry{
		"tell": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
			ran <- struct{}{}
			return nil, nil
		}),
	}})
	put := func(name, when string) {
		if _, err := n.PutJob(t.Context(), job.Spec{Name: name, Processor: "tell", Schedule: trigger.Schedule{When: when}}, 0); err != nil {
			t.Fatal(err)
		}
	}
	put("never", "")
	if err := n.PauseJob(t.Context(), "", "never", "holidays"); err != nil {
		t.Fatal(err)
	}
	if err := n.ResumeJob(t.Context(), "", "never"); err != nil {
		t.Fatal(err)
	}
	put("soon", "every 1s")
	<-ran
	d, err := n.Job(t.Context(), "", "never")
	if err != nil || !d.Fires.Wake.IsZero() || d.Fires.Runs != 0 {
		t.Errorf("got %+v, %v, want a job that nobody looks at any more", d.Fires, err)
	}
}

// noErrors is a log in which nothing may be an error.
type noErrors struct {
	slog.Handler
	t *testing.T
}

func (h noErrors) Enabled(context.Context, slog.Level) bool { return true }

func (h noErrors) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h noErrors) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		h.t.Errorf("%s", r.Message)
	}
	return nil
}
