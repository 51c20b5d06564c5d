package scheduler

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Letter is something that has happened, as it waits in the inbox of a job. It
// is one of Event, Ended and Happened.
type Letter struct {
	// Seq is its number in the inbox.
	Seq uint64
	// At is when it happened, as the state has it.
	At time.Time

	Event    *job.Event
	Ended    *trigger.Ended
	Happened *trigger.Happened
}

// Memory is what a trigger remembers of what it has heard.
type Memory struct {
	Event      trigger.EventState      `msgpack:"e,omitempty"`
	Dependency trigger.DependencyState `msgpack:"d,omitempty"`
	Lifecycle  trigger.LifecycleState  `msgpack:"l,omitempty"`
}

// Hearing is what follows from letters. All of it belongs into one step of the
// state, with the Memory that Hear has changed.
type Hearing struct {
	Runs    []HeardRun
	Skipped []job.Skipped
	// Refused is how many letters were not counted, by why.
	Refused map[string]int
	// Upto says that letters with lower numbers were read. Those in Consumed
	// are not needed any more.
	Upto     uint64
	Consumed []uint64
	// Wake is when to listen again, whether letters come or not. Zero means
	// not before some do.
	Wake time.Time
	// Ended says that the trigger will not be due any more.
	Ended bool
}

// HeardRun is a run that letters make.
type HeardRun struct {
	Run job.Run
	// Events are the letters that it is given, by number.
	Events []uint64
}

// refusedInactive is why a letter is not counted that came before the
// schedule's Start, after its End, or after its last run, or that waited when
// the trigger became another.
const refusedInactive = "inactive"

// Hear reads letters, in their order, and returns what follows by now. It makes
// no more than room runs, and leaves letters for later then. The letters begin
// where the job has read up to; the memory is changed.
func Hear(d *job.Declared, table *trigger.Timetable, m *Memory, letters []Letter, now time.Time, room int) Hearing {
	h := &hearing{d: d, table: table, s: table.Schedule(), m: m, now: now, room: room, on: started(table.Trigger())}
	h.Upto, h.Refused = d.Fires.Heard, map[string]int{}
	h.forget()
	h.skipPause(letters)
	h.read(letters)
	switch {
	case h.exhausted() || !h.s.End.IsZero() && !now.Before(h.s.End) && h.Upto >= last(letters, d.Fires.Heard):
		h.Ended, h.Wake = true, time.Time{}
	case len(h.Runs) < h.room:
		h.pass()
	case h.room <= 0:
		h.Wake = now.Add(crowded)
	default: // there may be room for more in the next step
		h.Wake = now
	}
	slices.Sort(h.Consumed)
	return h.Hearing
}

// crowded is after how long a job is looked at again that can make no run. The
// end of one has it looked at before that.
const crowded = time.Hour

func last(letters []Letter, otherwise uint64) uint64 {
	if len(letters) == 0 {
		return otherwise
	}
	return letters[len(letters)-1].Seq + 1
}

// started returns what starts a workflow, or the trigger itself.
func started(t trigger.Trigger) trigger.Trigger {
	if w, ok := t.(trigger.Workflow); ok {
		return w.On()
	}
	return t
}

type hearing struct {
	Hearing
	d     *job.Declared
	table *trigger.Timetable
	s     trigger.Schedule
	on    trigger.Trigger
	m     *Memory
	now   time.Time
	room  int

	passed map[uint64]bool // letters of a pause that do not count
}

// forget drops what the trigger of an earlier revision remembered, if it was of
// another mode. Events that waited make no run any more.
func (h *hearing) forget() {
	if _, ok := h.on.(trigger.Event); !ok {
		for _, g := range h.m.Event.Waiting {
			h.Consumed = append(h.Consumed, g.Seqs...)
			h.Refused[refusedInactive] += g.Count
		}
		h.m.Event = trigger.EventState{}
	}
	if _, ok := h.on.(trigger.Dependency); !ok {
		h.m.Dependency = trigger.DependencyState{}
	}
	if _, ok := h.on.(trigger.Lifecycle); !ok {
		h.m.Lifecycle = trigger.LifecycleState{}
	}
}

// skipPause finds the letters of a pause that do not count, by the policy for
// that.
func (h *hearing) skipPause(letters []Letter) {
	f := &h.d.Fires
	h.passed = map[uint64]bool{}
	if f.PausedAt.IsZero() || !f.ResumedAt.After(f.PausedAt) || h.s.OnResume == trigger.MisfireAll {
		return
	}
	for _, l := range slices.Backward(letters) {
		if l.At.Before(f.PausedAt) || !l.At.Before(f.ResumedAt) {
			continue
		}
		if h.s.OnResume == trigger.MisfireOne && len(h.passed) == 0 {
			h.passed[l.Seq] = false // the last counts
			continue
		}
		h.passed[l.Seq] = true
	}
}

// exhausted reports whether the trigger has made all its runs.
func (h *hearing) exhausted() bool {
	return h.s.MaxRuns > 0 && h.d.Fires.Runs+len(h.Runs) >= h.s.MaxRuns
}

// left is how many runs may be made yet.
func (h *hearing) left() int {
	left := h.room - len(h.Runs)
	if h.s.MaxRuns > 0 {
		left = min(left, h.s.MaxRuns-h.d.Fires.Runs-len(h.Runs))
	}
	return left
}

// read takes letters in while there is room.
func (h *hearing) read(letters []Letter) {
	for i := range letters {
		if len(h.Runs) >= h.room {
			return
		}
		l := &letters[i]
		h.Upto = l.Seq + 1
		t, isEvent := h.on.(trigger.Event)
		d, isDependency := h.on.(trigger.Dependency)
		n, isLifecycle := h.on.(trigger.Lifecycle)
		switch {
		case !h.counts(l):
			h.Consumed = append(h.Consumed, l.Seq)
		case isEvent && l.Event != nil:
			h.event(t, l)
		case isDependency && l.Ended != nil:
			h.ended(d, l)
		case isLifecycle && l.Happened != nil:
			h.happened(n, l)
		default: // it was told when the job had another trigger
			h.Consumed = append(h.Consumed, l.Seq)
		}
	}
}

// counts reports whether a letter may count, or why not.
func (h *hearing) counts(l *Letter) bool {
	skip := func(cause trigger.Cause) bool {
		if n := len(h.Skipped) - 1; n >= 0 && h.Skipped[n].Cause == string(cause) { // there may be very many
			h.Skipped[n].To = l.At
			h.Skipped[n].Count++
			return false
		}
		h.Skipped = append(h.Skipped, job.Skipped{Cause: string(cause), From: l.At, To: l.At, Count: 1, At: h.now})
		return false
	}
	switch {
	case h.exhausted(), !h.s.Start.IsZero() && l.At.Before(h.s.Start), !h.s.End.IsZero() && !l.At.Before(h.s.End):
		h.Refused[refusedInactive]++
		return false
	case h.passed[l.Seq]:
		return skip(trigger.CausePaused)
	case h.now.Sub(l.At) > h.patience():
		return skip(trigger.CauseExpired)
	case h.table.Closed(l.At):
		return skip(trigger.CauseBlackout)
	}
	return true
}

// patience is how old a letter may be that is read.
func (h *hearing) patience() time.Duration {
	if e, ok := h.on.(trigger.Event); ok {
		return e.TTL()
	}
	return h.s.CatchUp
}

func (h *hearing) event(t trigger.Event, l *Letter) {
	a := trigger.Arrival{ID: l.Event.ID, Seq: l.Seq, Name: l.Event.Name}
	if len(l.Event.Data) > 0 {
		var data any
		_ = json.Unmarshal(l.Event.Data, &data) // it was looked at when it was accepted
		a.Data, _ = data.(map[string]any)       // an expression on anything else fails
	}
	out, _ := t.StepWithin(&h.m.Event, &a, h.now, h.left())
	if out.Refused != "" {
		h.Refused[string(out.Refused)]++
		h.Consumed = append(h.Consumed, l.Seq)
	}
	h.follow(&out)
}

// follow makes the runs of events.
func (h *hearing) follow(out *trigger.EventOutcome) {
	h.Consumed = append(h.Consumed, out.Dropped...)
	for _, f := range out.Fires {
		h.Consumed = append(h.Consumed, f.Seqs...)
		run := h.run(h.now, trigger.ReasonEvent, "", map[string]string{"event.count": strconv.Itoa(f.Count)})
		if f.Key != "" {
			run.Extra["event.key"] = f.Key
		}
		h.Runs = append(h.Runs, HeardRun{Run: run, Events: f.Seqs})
	}
	h.wake(out.Wake)
}

func (h *hearing) ended(t trigger.Dependency, l *Letter) {
	h.Consumed = append(h.Consumed, l.Seq)
	fire := t.Step(&h.m.Dependency, *l.Ended)
	if fire == nil {
		return
	}
	extra, text := map[string]string{}, fire.Group
	for _, name := range slices.Sorted(maps.Keys(fire.Runs)) {
		extra["upstream."+name] = fire.Runs[name]
		text += "\x00" + fire.Runs[name]
	}
	if fire.Again { // the same runs may be tried more than once
		text += "\x00" + strconv.FormatUint(l.Seq, 10)
	}
	nominal := fire.Nominal
	if nominal.IsZero() {
		nominal = l.At
	}
	h.Runs = append(h.Runs, HeardRun{Run: h.run(nominal, trigger.ReasonDependency, text, extra)})
}

func (h *hearing) happened(t trigger.Lifecycle, l *Letter) {
	h.Consumed = append(h.Consumed, l.Seq)
	fires, wake := t.Step(&h.m.Lifecycle, l.Happened, h.now)
	h.nodes(fires, l.Seq)
	h.wake(wake)
}

// nodes makes the runs of what happened to nodes, as it came out when a letter
// was read, or before that. One life of a node may see the same more than once,
// and one letter tells of it once.
func (h *hearing) nodes(fires []trigger.Happened, seq uint64) {
	for i := range fires {
		h.node(&fires[i], seq)
	}
}

func (h *hearing) node(f *trigger.Happened, seq uint64) {
	life := strconv.FormatUint(f.Incarnation, 10)
	extra := map[string]string{"node.what": string(f.What), "node.id": f.Node, "node.life": life}
	if f.Called != "" {
		extra["node.name"] = f.Called
	}
	text := fmt.Sprintf("%s\x00%s\x00%s\x00%d\x00%d", f.What, f.Node, life, h.d.Fires.Seq, seq)
	run := h.run(h.now, trigger.ReasonLifecycle, text, extra)
	if l, ok := h.on.(trigger.Lifecycle); ok && l.Scope() != trigger.ScopeCluster && f.What != trigger.NodeLeaves {
		atNode(&run, f.Node)
	}
	h.Runs = append(h.Runs, HeardRun{Run: run})
}

// nodeWait is how long a run waits, and goes on, for a node that it is meant
// for, if its job does not say.
const nodeWait = time.Hour

// atNode has a run work on one node, unless its job says where it works.
func atNode(run *job.Run, id string) {
	if len(run.Spec.Placement.Nodes) > 0 {
		return
	}
	run.Spec.Placement.Nodes = []string{id}
	if run.Spec.RunTimeout == 0 {
		run.Spec.RunTimeout = nodeWait // it may be gone for good
	}
}

// pass looks at the time: something may have waited long enough.
func (h *hearing) pass() {
	switch t := h.on.(type) {
	case trigger.Event:
		out, _ := t.StepWithin(&h.m.Event, nil, h.now, h.left())
		h.follow(&out)
	case trigger.Lifecycle:
		fires, wake := t.Step(&h.m.Lifecycle, nil, h.now)
		h.nodes(fires, h.Upto)
		h.wake(wake)
	}
}

// wake has the job looked at again at the earliest time there is. What the last
// step says holds: it knows all that waits.
func (h *hearing) wake(at time.Time) { h.Wake = at }

// run returns a run of the job. Its ID is made of an instant and of what text
// says, which no other run of it has; a run of events gets it with those.
func (h *hearing) run(at time.Time, why trigger.Reason, text string, extra map[string]string) job.Run {
	run := job.Run{Spec: h.d.Spec, Revision: h.d.Revision, Fire: at, Created: h.now, Origin: why, Extra: extra}
	if text != "" {
		run.ID = HeardID(&run, text)
	}
	return run
}

// HeardID returns the ID of a run of what text says.
func HeardID(run *job.Run, text string) job.RunID {
	sum := sha256.Sum256([]byte(text))
	return job.FireID(run.Spec.Namespace, run.Spec.Name, run.Fire) + job.RunID("-"+hex.EncodeToString(sum[:6]))
}

// GiveEvents gives a run the events that made it. Where the job has no input of
// its own, and a mode that takes one, they are its input, one record each.
func GiveEvents(run *job.Run, events []job.Event) {
	if len(events) == 0 {
		return
	}
	first := events[0]
	run.Fire = first.At
	run.ID = HeardID(run, first.Name+"\x00"+first.ID)
	run.Extra["event.name"], run.Extra["event.id"] = first.Name, first.ID
	if len(events) == 1 && len(first.Data) <= maxExtraData {
		run.Extra["event.data"] = string(first.Data)
	}
	in := &run.Spec.Input
	takes := run.Spec.Mode == job.Auto || run.Spec.Mode == job.Map || run.Spec.Mode == job.MapReduce
	if takes && in.Values == nil && len(in.Globs) == 0 {
		*in = job.Values(events...)
	}
}

// maxExtraData is up to which size the data of an event is passed to every task
// of its run.
const maxExtraData = 16 << 10
