package api

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Change is that a run, a job or a bulk operation is not as it was.
type Change struct {
	ID   string      `json:"id" doc:"Its place in the order of all changes, to go on behind it."`
	Of   job.Changed `json:"of,omitempty" enum:"run,job,operation" doc:"What has changed. Left out of a reset."`
	What string      `json:"what" enum:"reset,created,begun,ended,removed,declared,paused,resumed,deleted,advanced" doc:"What became of it: a run is created, which may have begun then, begun, ended or removed; a job declared, which it is again when it is changed, paused, resumed or deleted; an operation begun, advanced or ended. reset says that changes before this are not known: list anew what matters."`
	At   time.Time   `json:"at,omitzero" doc:"When that was recorded, by the clock of the node that led."`

	Namespace string `json:"namespace"`
	Job       string `json:"job,omitempty" doc:"The job, or the one that the run is of."`
	Run       string `json:"run,omitempty" doc:"The ID of the run."`
	Operation string `json:"operation,omitempty" doc:"The ID of the operation."`
	State     string `json:"state,omitempty" doc:"The state that the run or the operation has now."`
	Reason    string `json:"reason,omitempty" doc:"Why, or the beginning of that."`
	Revision  uint64 `json:"revision,omitempty" doc:"That of a job that was declared."`
	Done      int    `json:"done,omitempty" doc:"How many runs or jobs the operation was carried out on so far."`
	Refused   int    `json:"refused,omitempty" doc:"How many it could not be carried out on."`
}

// Reset is the What of a change that says: those before it are not known.
const Reset = "reset"

// ChangesOf returns the changes of a page as they are said over HTTP, a reset
// before all others.
func ChangesOf(namespace string, page *job.ChangePage) []Change {
	out := make([]Change, 0, len(page.Changes)+1)
	if page.Reset {
		out = append(out, Change{ID: page.Next, What: Reset, Namespace: namespace})
	}
	for i := range page.Changes {
		c := &page.Changes[i]
		out = append(out, Change{
			ID: c.Place, Of: c.Of, What: c.What, At: c.At.UTC(), Namespace: c.Namespace, Job: c.Job, Run: string(c.Run), Operation: c.Operation,
			State: c.State, Reason: c.Reason, Revision: c.Revision, Done: c.Done, Refused: c.Refused,
		})
	}
	return out
}
