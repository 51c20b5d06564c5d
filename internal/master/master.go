// Package master conducts one run, from its first task to its result.
//
// A Master is a state machine without a clock, a network or a goroutine. The
// node that holds it feeds it events and carries out the effects it answers
// with:
//
//	Begin ─► Assign map tasks ─► all reported ─► Assign reduce tasks ─► Finish
//
// Every run goes the same way: at most one task before all others, then map
// tasks, then reduce tasks. What differs between the modes of a run is how
// many there are of each, and that keyed map tasks leave output on the member
// that ran them, which is made anew when the member is lost.
//
// What the master accepts it asks to have recorded, and the node carries out
// no effect of a Step before what that Step recorded is durable. The same
// events give the same effects, so a master that moves to another node is told
// what was recorded and goes on where the old one stopped: tasks that have an
// outcome are not run again.
//
// It refuses to know what a task is about: payloads, results and pairs pass it
// by.
package master

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// Master is what is known of one run while it is conducted.
type Master struct {
	run    *job.Run
	chance *rand.Rand
	now    time.Duration
	begun  bool
	done   bool

	phase   job.Kind
	before  *table
	maps    *table
	reduces *table
	staged  map[attempt][]chunk // what attempts emitted that have not ended
	result  []byte              // of the task before the others

	members  map[string]*member
	fit      []sharding.Member // who may work on the run
	refused  []sharding.Refusal
	sources  []job.Source   // where map output is; nil if not known
	deadline time.Duration  // zero is none
	limits   bool           // attempts or tasks have a time limit
	overdue  time.Duration  // when to look for tasks that are; zero is never
	hung     time.Duration  // when to look for members that are; zero is never
	ending   *ending        // set once the run was cancelled
	verdict  *Finish        // set if the journal says how it ends
	patience time.Duration  // until then a broadcast waits for members not met yet
	lost     int            // map outputs that were lost so far
	ended    int            // attempts that ended
	by       map[string]int // tasks that each member completed, by its ID

	intents   map[job.TaskID]intent // before it has begun
	latest    uint64                // the latest epoch of which the journal tells
	handovers uint64                // masters that ended in good order
	wary      bool                  // a master was lost
	emptied   []*member             // those that get no more until they have nothing

	woken    time.Duration // what the last Wake asked for
	effects  []Effect
	hopeless bool // the run failed because of a task that would fail again
}

// attempt names what stages chunks.
type attempt struct {
	task  job.TaskID
	epoch uint64
	n     int
}

// New returns a master for run, which is told next what the run's journal
// holds and then begins. Chance drives jitter and ties; nil leaves them out.
func New(run *job.Run, chance *rand.Rand) *Master {
	m := &Master{
		run:     run,
		chance:  chance,
		phase:   job.KindBefore,
		before:  newTable(job.KindBefore),
		maps:    newTable(job.KindMap),
		reduces: newTable(job.KindReduce),
		staged:  map[attempt][]chunk{},
		members: map[string]*member{},
		by:      map[string]int{},
		intents: map[job.TaskID]intent{},
		limits:  run.Spec.TaskTimeout > 0 || run.Spec.AttemptTimeout > 0,
	}
	if run.Plan.Before {
		m.before.add(chunk{seq: NoEntry, n: 1})
	}
	if run.Plan.Reduces > 0 {
		m.reduces.add(chunk{seq: NoEntry, n: run.Plan.Reduces})
	}
	return m
}

// Step takes in what happened at now, which is measured from any fixed moment
// and never decreases, and returns what it leads to. A master that has
// finished answers nothing.
func (m *Master) Step(now time.Duration, e Event) []Effect {
	if m.done {
		return nil
	}
	m.now = max(m.now, now)
	m.effects = nil
	m.take(e)
	if m.begun && m.ending == nil {
		m.advance()
		m.place()
		m.advance()
	}
	m.endIfQuiet()
	if m.begun {
		m.alarm()
	}
	return m.effects
}

func (m *Master) take(e Event) {
	switch e := e.(type) {
	case Tasks:
		m.maps.add(chunk{seq: e.Seq, n: e.N})
	case Staged:
		m.stage(e)
	case Recorded:
		m.restore(e)
	case Intended:
		m.intended(e)
	case Lost:
		m.restoreLost(e)
	case HandedOver:
		m.handedOver(e)
	case Begin:
		m.begin(e)
	case Joined:
		m.joined(e.Member)
	case Left:
		m.left(e.Member)
	case Window:
		m.window(e)
	case Reported:
		m.reported(e)
	case Undelivered:
		m.undelivered(e)
	case Tick:
		m.expire()
	case Cancel:
		m.cancel(e.Reason)
	default:
		panic(fmt.Sprintf("master: unknown event %T", e))
	}
}

// begin ends what was told of the journal and starts to place tasks.
func (m *Master) begin(e Begin) {
	m.begun = true
	for _, member := range e.Members {
		m.enter(member)
	}
	m.survey()
	if m.verdict != nil {
		m.finish(m.verdict.State, m.verdict.Reason)
		return
	}
	if e.Canceled != "" {
		m.cancel(e.Canceled)
	}
	if m.ending != nil {
		return
	}
	m.inherit()
	if len(m.run.Plan.Nodes) > 0 {
		m.patience = m.now + meetGrace
	}
	if t := m.run.Spec.RunTimeout; t > 0 {
		m.deadline = m.now + max(t-e.Elapsed, 1)
	}
	if m.run.Plan.Keyed {
		if n := m.remake(func(holder string) bool { return m.members[holder] == nil }); n > 0 {
			m.note("map output of %s was lost between two masters: made again", count(n, "task"))
		}
	}
}

// meetGrace is how long a broadcast waits for a member that the master has not
// met.
const meetGrace = 5 * time.Second

// advance moves on to the next phase as often as the present one is over.
func (m *Master) advance() {
	for !m.done {
		t := m.current()
		if !t.over() {
			return
		}
		if reason := m.intolerable(t, true); reason != "" {
			m.finish(job.Failed, reason)
			return
		}
		switch {
		case t == m.reduces:
			m.finish(job.Succeeded, "")
		case m.phase == job.KindBefore:
			m.phase = job.KindMap
		default:
			m.phase = job.KindReduce
		}
	}
}

// finish ends the run. What the journal says of its end stands until it has
// begun: the master before may not have got to it.
func (m *Master) finish(s job.State, reason string) {
	f := Finish{State: s, Reason: reason}
	if !m.begun {
		if m.verdict == nil {
			m.verdict = &f
		}
		return
	}
	m.done = true
	m.effects = append(m.effects, f)
}

func (m *Master) note(format string, args ...any) {
	m.effects = append(m.effects, Note{Text: fmt.Sprintf(format, args...)})
}

// alarm asks to be woken when the next thing is due that no event announces.
func (m *Master) alarm() {
	if m.done {
		return
	}
	var at time.Duration
	soonest := func(due time.Duration) {
		if due > 0 && (at == 0 || due < at) {
			at = due
		}
	}
	m.dues(soonest)
	if at != m.woken {
		if m.woken = at; at > 0 {
			m.effects = append(m.effects, Wake{At: at})
		}
	}
}

// dues tells of all that is due.
func (m *Master) dues(soonest func(due time.Duration)) {
	if m.ending != nil {
		soonest(m.ending.until)
		return
	}
	soonest(m.deadline)
	soonest(m.overdue)
	soonest(m.hung)
	soonest(m.current().due())
	soonest(m.current().pace.look)
	if m.patience > m.now && m.phase == job.KindMap && m.maps.unplaced > 0 {
		soonest(m.patience)
	}
	if m.current().ready() > 0 || m.pins() {
		for _, k := range m.members {
			if k.silence > m.now {
				soonest(k.silence)
			}
		}
	}
}

// current is the table whose tasks are placed now. Map output that was lost
// is made anew before anything is reduced.
func (m *Master) current() *table {
	switch {
	case m.phase == job.KindBefore:
		return m.before
	case m.phase == job.KindMap || !m.maps.over():
		return m.maps
	}
	return m.reduces
}

func (m *Master) tables() [3]*table { return [...]*table{m.before, m.maps, m.reduces} }

func (m *Master) table(k job.Kind) *table {
	switch k {
	case job.KindBefore:
		return m.before
	case job.KindMap:
		return m.maps
	case job.KindReduce:
		return m.reduces
	}
	return nil
}

// Progress returns where the run stands.
func (m *Master) Progress() job.Progress {
	p := job.Progress{Attempts: m.ended, Waiting: m.waiting(), Members: maps.Clone(m.by), Permanent: m.hopeless}
	for _, t := range m.tables() {
		p.Tasks += t.total
		p.Done += t.done
		p.Failed += t.failed
		p.Running += t.running
	}
	switch m.phase {
	case job.KindBefore:
		p.Phase = "before"
	case job.KindMap:
		p.Phase = "map"
	default:
		p.Phase = "reduce"
	}
	return p
}
