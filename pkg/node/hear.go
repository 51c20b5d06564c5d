package node

import (
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/scheduler"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// lettersAtOnce is how many letters of a job are read in one step.
const lettersAtOnce = 1000

// hear works out what becomes of what a job has been told, as settle does of its
// fires.
func (c *clock) hear(d *job.Declared, table *trigger.Timetable) (f state.Firing, err error) {
	namespace, name := d.Spec.Namespace, d.Spec.Name
	stored, remembered, err := c.l.state.Inbox(namespace, name, d.Fires.Heard, lettersAtOnce)
	if err != nil {
		return f, err
	}
	var memory scheduler.Memory
	if len(remembered) > 0 {
		if err := wire.DecodeRecord(remembered, &memory); err != nil {
			return f, fmt.Errorf("node: what the trigger of job %s/%s remembers: %w", namespace, name, err)
		}
	}
	letters := make([]scheduler.Letter, len(stored))
	for i := range stored {
		letters[i] = letterOf(namespace, &stored[i])
	}
	h := scheduler.Hear(d, table, &memory, letters, c.l.n.wall().UTC(), roomFor(d))
	f = state.Firing{
		Namespace: namespace, Name: name, Revision: d.Revision, Seq: d.Fires.Seq,
		Cursor: d.Fires.Cursor, Wake: h.Wake, Ended: h.Ended, Skipped: h.Skipped,
		Heard: &state.Heard{Upto: h.Upto, Consumed: h.Consumed, Refused: h.Refused},
	}
	if f.Heard.Memory, err = wire.EncodeRecord(memory); err != nil {
		return f, err
	}
	for i := range h.Runs {
		r := &h.Runs[i]
		if err := c.giveEvents(r, letters); err != nil {
			return f, err
		}
		f.Runs = append(f.Runs, c.prepare(r.Run, d.Inline))
	}
	return f, nil
}

// roomFor is how many runs a job may make of letters in one step.
func roomFor(d *job.Declared) int {
	policy, limit, _ := d.Spec.Overlaps()
	return min(firesTogether(&d.Spec, aboutEvents), state.Room(d.Spec.Namespace, d.Spec.Name, policy, limit, len(d.Fires.Active)))
}

// aboutEvents is what a run takes more, in bytes, for what it is due for.
const aboutEvents = 20 << 10

// giveEvents gives a run the events that it is of.
func (c *clock) giveEvents(r *scheduler.HeardRun, letters []scheduler.Letter) error {
	if len(r.Events) == 0 {
		return nil
	}
	here := map[uint64]*job.Event{}
	for i := range letters {
		here[letters[i].Seq] = letters[i].Event
	}
	var before []uint64
	for _, seq := range r.Events {
		if here[seq] == nil {
			before = append(before, seq)
		}
	}
	stored, err := c.l.state.Letters(r.Run.Spec.Namespace, r.Run.Spec.Name, before)
	if err != nil {
		return err
	}
	for i := range stored {
		l := letterOf(r.Run.Spec.Namespace, &stored[i])
		here[l.Seq] = l.Event
	}
	events := make([]job.Event, 0, len(r.Events))
	for _, seq := range r.Events {
		if e := here[seq]; e != nil {
			events = append(events, *e)
		}
	}
	scheduler.GiveEvents(&r.Run, events)
	return nil
}

// instant returns the time that a number of nanoseconds stands for; zero is
// none.
func instant(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at).UTC()
}

// letterOf returns a letter as the scheduler reads it.
func letterOf(namespace string, l *state.Letter) scheduler.Letter {
	out := scheduler.Letter{Seq: l.Seq, At: instant(l.At)}
	switch l.Kind {
	case wire.LetterEvent:
		out.Event = &job.Event{Namespace: namespace, Name: l.Name, ID: l.ID, Data: l.Data, At: out.At}
	case wire.LetterEnded:
		out.Ended = &trigger.Ended{
			Job: l.Job, Run: string(l.Run), Nominal: instant(l.Nominal), Partition: l.Partition, Outcome: trigger.Outcome(l.Outcome), At: out.At,
		}
	case wire.LetterNode:
		out.Happened = &trigger.Happened{What: trigger.Happening(l.What), Node: l.Node, Called: l.Called, Incarnation: l.Life}
	}
	return out
}
