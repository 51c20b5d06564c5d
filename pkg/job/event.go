package job

import (
	"encoding/json"
	"time"

	"github.com/musterhq/muster/trigger"
)

// Event is something that has happened, told to the cluster by name, which
// jobs may be due for: those with a trigger as in "event order.paid".
type Event struct {
	// Namespace is that of the jobs that may be due. Empty means "default".
	Namespace string `msgpack:"ns,omitempty" json:"namespace,omitempty"`
	// Name is which event it is: 1 to 200 characters without spaces, commas,
	// brackets and quotes.
	Name string `msgpack:"n" json:"name"`
	// ID tells it from others of that name. Sent again within an hour it is
	// the same event, and changes nothing. At most 200 bytes; empty means that
	// one is made up.
	ID string `msgpack:"i" json:"id"`
	// Data is what it says, as JSON, at most 64 KiB. Empty means nothing.
	Data json.RawMessage `msgpack:"d,omitempty" json:"data,omitempty"`
	// At is when it was accepted.
	At time.Time `msgpack:"t" json:"at"`
}

// The bounds of an event, in bytes.
const (
	MaxEventName = 200
	MaxEventData = 64 << 10
)

// The topics that jobs listen to.
const (
	topicEvent    = "event:"
	topicUpstream = "after:"
	// TopicNodes is what happens to nodes, in no namespace.
	TopicNodes = "nodes"
)

// TopicEvent is the events of a name, in their namespace.
func TopicEvent(name string) string { return topicEvent + name }

// TopicUpstream is the ends of the runs of a job, in its namespace.
func TopicUpstream(name string) string { return topicUpstream + name }

// What may happen to nodes, and how runs end for those that wait for them,
// where that is recorded; see package trigger.
const (
	NodeStarts  = string(trigger.NodeStarts)
	NodeJoins   = string(trigger.NodeJoins)
	NodeLeaves  = string(trigger.NodeLeaves)
	NodeLeads   = string(trigger.NodeLeads)
	ClusterForm = string(trigger.ClusterForm)

	OutcomeSuccess = string(trigger.OutcomeSuccess)
	OutcomePartial = string(trigger.OutcomePartial)
	OutcomeFailure = string(trigger.OutcomeFailure)
)

// Listens returns what the job's trigger waits to hear of, if it is due when
// something happens.
func (s *Spec) Listens() (topics []string) {
	switch t := s.trigger().(type) {
	case trigger.Event:
		topics = append(topics, TopicEvent(t.Name()))
	case trigger.Dependency:
		for _, name := range t.Jobs() {
			topics = append(topics, TopicUpstream(name))
		}
	case trigger.Lifecycle:
		topics = append(topics, TopicNodes)
	}
	return topics
}

// Upstream returns the names of the jobs whose runs the job is due after, in
// its namespace.
func (s *Spec) Upstream() []string {
	if d, ok := s.trigger().(trigger.Dependency); ok {
		return d.Jobs()
	}
	return nil
}

// trigger returns the trigger of the job, or nil. The times of a workflow are
// those of what starts it.
func (s *Spec) trigger() trigger.Trigger {
	t, err := trigger.Parse(s.Schedule.When)
	if err != nil {
		return nil
	}
	if w, ok := t.(trigger.Workflow); ok {
		return w.On()
	}
	return t
}
