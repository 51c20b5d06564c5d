package master

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
	"github.com/musterhq/muster/trigger"
)

var (
	seeds = flag.Int("seeds", 3000, "how many random pools to try")
	seed  = flag.Uint64("seed", 0, "the one random pool to try")
)

// TestRunsInAnUnreliablePoolEndRight conducts random runs in random pools that
// lose members, messages, writes and masters, with their nodes and without, and
// then mend. Every run must end, its journal must hold one final outcome for
// each of its tasks, and no task that has one is placed again.
func TestRunsInAnUnreliablePoolEndRight(t *testing.T) {
	forSeeds(t, newWorld)
}

// TestOnlyTheTasksThatKillTheirNodesAreQuarantined conducts random runs of
// which some tasks kill whatever node executes them, the master's too. Nothing
// else fails. Each of them must be found out after three losses, of which the
// first may go unseen if it took the first master, and nothing else may be
// taken for one.
func TestOnlyTheTasksThatKillTheirNodesAreQuarantined(t *testing.T) {
	forSeeds(t, func(rng *rand.Rand) *world {
		p := newWorld(rng)
		p.calm, p.poison = true, map[job.TaskID]bool{}
		if p.run.Plan.Nodes = nil; p.run.Plan.Reduces > 0 && rng.IntN(3) == 0 {
			p.poison[job.TaskID{Kind: job.KindReduce, N: rng.IntN(p.run.Plan.Reduces)}] = true
		}
		roots := 0
		for _, e := range p.journal {
			roots += e.(Tasks).N
		}
		for range min(rng.IntN(4), roots) {
			p.poison[job.TaskID{Kind: job.KindMap, N: rng.IntN(roots)}] = true
		}
		if rng.IntN(3) == 0 {
			p.run.Spec.Retry.Losses = 2 + rng.IntN(4)
		}
		return p
	})
}

func forSeeds(t *testing.T, build func(*rand.Rand) *world) {
	t.Helper()
	if *seed != 0 {
		try(t, *seed, true, build)
		return
	}
	base := rand.Uint64()
	for i := range *seeds {
		if try(t, base+uint64(i), false, build); t.Failed() {
			return
		}
	}
}

func try(t *testing.T, seed uint64, verbose bool, build func(*rand.Rand) *world) {
	t.Helper()
	p := build(rand.New(rand.NewPCG(seed, 1)))
	defer func() {
		if e := recover(); e != nil {
			t.Errorf("seed %d: %v", seed, e)
		}
		if t.Failed() || verbose {
			t.Logf("seed %d: go test ./internal/master -run '^%s$' -seed %d\n%s", seed, t.Name(), seed, strings.Join(p.log[max(0, len(p.log)-120):], "\n"))
		}
	}()
	if err := p.conduct(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
}

// world is a simulated pool around the master of one run.
type world struct {
	rng     *rand.Rand
	run     *job.Run
	m       *Master
	now     time.Duration
	journal []Event             // what a new master is told
	seq     uint64              // of the next entry
	alive   []string            // members, by ID
	held    map[string][]Placed // what members execute
	late    map[string][]job.Outcome
	staged  map[string]int // chunks that an attempt has handed over
	lives   map[string]uint64
	wake    time.Duration
	finish  *Finish
	cancel  string // why it was cancelled
	mending bool   // nothing fails any more
	emitted int
	log     []string

	writing []Event  // what is on its way to the journal ...
	waiting []Effect // ... and what waits for it to be there

	calm   bool                // nothing fails but through poison
	poison map[job.TaskID]bool // tasks that kill the member that executes them
	deaths int                 // how many members those killed
	unseen int                 // those of them of which no master could know
}

func newWorld(rng *rand.Rand) *world {
	p := &world{rng: rng, held: map[string][]Placed{}, late: map[string][]job.Outcome{}, staged: map[string]int{}, lives: map[string]uint64{}}
	p.run = &job.Run{ID: "n/j@1", Epoch: 1, Spec: job.Spec{
		Retry: job.Retry{Attempts: 1 + rng.IntN(4), Backoff: trigger.Backoff{Initial: time.Second}},
	}}
	if rng.IntN(2) == 0 {
		p.run.Spec.Tolerate.Count = 1000
	}
	switch rng.IntN(4) {
	case 0:
		p.run.Plan.Keyed, p.run.Plan.Reduces = true, 1+rng.IntN(4)
	case 1:
		p.run.Plan.Reduces = 1
	case 2:
		p.run.Plan.Nodes = []string{"a", "b", "c"}[:1+rng.IntN(3)]
	}
	p.run.Plan.Before = rng.IntN(4) == 0
	p.run.Spec.NoBackups = rng.IntN(2) == 0
	p.run.Spec.Placement.MaxWorkers = max(rng.IntN(6)-2, 0)
	roots := rng.IntN(12)
	if n := len(p.run.Plan.Nodes); n > 0 {
		roots = n
	}
	for roots > 0 {
		n := 1 + rng.IntN(roots)
		roots -= n
		p.journal = append(p.journal, Tasks{Seq: p.seq, N: n})
		p.seq++
	}
	p.alive = []string{"a", "b", "c", "d"}[:1+rng.IntN(4)]
	if rng.IntN(3) == 0 {
		p.run.Spec.AttemptTimeout = time.Minute
	}
	if rng.IntN(4) == 0 && p.run.Spec.Tolerate.Count > 0 {
		p.run.Spec.TaskTimeout = time.Hour // which losses of the journal may make it longer
	}
	return p
}

func (p *world) conduct() error {
	p.succeed()
	trouble := p.rng.IntN(200) // steps until it mends
	if p.calm {
		trouble = -1
	}
	for step := 0; p.finish == nil; step++ {
		if p.mending = step > trouble; step > 20_000 {
			return fmt.Errorf("the run does not end: %+v", p.m.Progress())
		}
		if p.mending && len(p.alive) < 3 {
			p.join()
			continue
		}
		if p.mending {
			if err := p.mend(); err != nil {
				return err
			}
		} else {
			p.happen()
		}
		if err := p.check(); err != nil {
			return err
		}
	}
	if got := p.m.Step(p.now, Tick{}); got != nil {
		return fmt.Errorf("after its end it answers %v", got)
	}
	return p.judge()
}

// succeed makes a new master of what the journal holds, as after a failover.
// What the old one had under way is lost with it, reports included.
func (p *world) succeed() {
	if p.m != nil {
		// Of what was being written some may be there, but nobody was told.
		if n := p.rng.IntN(len(p.writing) + 1); !p.calm {
			p.journal = append(p.journal, p.writing[:n]...)
		}
		p.writing, p.waiting = nil, nil
		p.run.Epoch++
		p.held, p.late = map[string][]Placed{}, map[string][]job.Outcome{}
	}
	for len(p.alive) == 0 {
		p.alive = []string{"a"}
		p.lives["a"]++
	}
	p.run.Master = p.some()
	p.note("master of epoch %d on %s", p.run.Epoch, p.run.Master)
	run := *p.run
	p.m, p.wake = New(&run, rand.New(rand.NewPCG(p.rng.Uint64(), 0))), 0
	for _, e := range p.journal {
		p.m.Step(0, e)
	}
	begin := Begin{Canceled: p.cancel}
	for _, id := range p.alive {
		begin.Members = append(begin.Members, p.member(id))
	}
	p.now = 0
	p.step(begin)
}

func (p *world) member(id string) Member {
	return Member{Life: p.lives[id], Member: sharding.Member{ID: id, Slots: 1 + len(p.alive)%3}}
}

// happen lets one thing happen.
func (p *world) happen() {
	switch n := p.rng.IntN(100); {
	case n < 60:
		p.report()
	case n < 75:
		p.tick()
	case n < 80 && len(p.alive) > 1:
		p.leave(p.some())
	case n < 85:
		p.join()
	case n < 88 && len(p.alive) > 0:
		p.step(Window{Member: p.some(), Tasks: p.rng.IntN(6)})
	case n < 91:
		p.lose()
	case n < 95:
		p.emit()
	case n < 97:
		p.repeat()
	case n == 97 && !p.m.done && p.rng.IntN(8) == 0:
		p.cancel = "enough"
		p.step(Cancel{Reason: p.cancel})
	case n == 97:
		p.flush()
	case n == 98 && p.rng.IntN(2) == 0:
		p.flush()
		p.journal = append(p.journal, HandedOver{Epoch: p.run.Epoch})
		p.succeed()
	default:
		p.succeed()
	}
}

// mend lets everything go well. Time only passes when the master has asked for
// that: a task that waits for nothing and is not placed is forgotten.
func (p *world) mend() error {
	p.flush()
	if p.finish != nil {
		return nil
	}
	if p.calm && p.rng.IntN(30) == 0 { // a master may be lost without its node
		if p.rng.IntN(2) == 0 {
			p.journal = append(p.journal, HandedOver{Epoch: p.run.Epoch})
		}
		p.succeed()
		return nil
	}
	for _, id := range p.alive {
		if p.m.members[id].window == 0 {
			p.step(Window{Member: id, Tasks: 2})
			return nil
		}
	}
	for _, id := range p.alive {
		if len(p.held[id]) > 0 {
			p.report()
			return nil
		}
	}
	if p.calm && len(p.alive) < 3 {
		p.join()
		return nil
	}
	if p.wake <= p.now {
		return fmt.Errorf("nothing is placed, and nothing is to come: %+v", p.m.Progress())
	}
	p.now = p.wake
	p.step(Tick{})
	return nil
}

func (p *world) some() string { return p.alive[p.rng.IntN(len(p.alive))] }

func (p *world) tick() {
	d := time.Duration(p.rng.IntN(2000)) * time.Millisecond
	if p.wake > p.now && p.rng.IntN(2) == 0 {
		d = p.wake - p.now
	}
	p.now += d
	p.step(Tick{})
}

// leave loses a member, and the master with it if that lives there.
func (p *world) leave(id string) {
	p.alive = slices.DeleteFunc(slices.Clone(p.alive), func(s string) bool { return s == id })
	delete(p.held, id)
	delete(p.late, id)
	p.lives[id]++
	switch {
	case id == p.run.Master:
		if p.rng.IntN(2) == 0 { // it is started again at once
			p.alive = append(slices.Clone(p.alive), id)
		}
		p.succeed()
	case p.calm || p.rng.IntN(3) > 0:
		p.step(Left{Member: id})
	default: // it is back before anybody sees that it was gone
		p.alive = append(slices.Clone(p.alive), id)
		p.step(Joined{Member: p.member(id)})
	}
}

func (p *world) join() {
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		if !slices.Contains(p.alive, id) {
			p.alive = append(slices.Clone(p.alive), id)
			p.step(Joined{Member: p.member(id)})
			return
		}
	}
}

// report ends some of what a member executes.
func (p *world) report() {
	if len(p.alive) == 0 {
		return
	}
	id := p.some()
	if len(p.held[id]) == 0 {
		return
	}
	n := 1 + p.rng.IntN(len(p.held[id]))
	r := Reported{Member: id}
	for _, a := range p.held[id][:n] {
		if p.poison[a.ID] {
			p.kill(id, a)
			return
		}
		r.Outcomes = append(r.Outcomes, p.outcome(a))
	}
	p.rng.Shuffle(n, func(i, j int) { r.Outcomes[i], r.Outcomes[j] = r.Outcomes[j], r.Outcomes[i] })
	p.held[id] = slices.Clone(p.held[id][n:])
	p.late[id] = append(p.late[id], r.Outcomes...)
	p.step(r)
}

// kill loses a member to a task.
func (p *world) kill(id string, a Placed) {
	p.note("%v kills %s", a.ID, id)
	p.deaths++
	if id == p.run.Master && !p.m.wary && p.m.table(a.ID.Kind).suspects[a.ID.N] == nil {
		p.unseen++
	}
	p.leave(id)
}

func (p *world) outcome(a Placed) job.Outcome {
	o := job.Outcome{Task: a.ID, Attempt: a.Attempt}
	if p.mending || p.calm {
		return o
	}
	switch n := p.rng.IntN(20); {
	case n < 3:
		o.Failure = &job.Failure{Reason: "no"}
	case n == 3 && p.run.Spec.Tolerate.Count > 0 && a.ID.Kind == job.KindMap:
		o.Failure = &job.Failure{Reason: "never", Permanent: true}
	case n == 4:
		o.Failure = &job.Failure{Reason: "later", After: time.Second}
	case n == 5 && a.ID.Kind == job.KindReduce && p.run.Plan.Keyed && p.m.maps.total > 0:
		o.Failure = &job.Failure{Reason: "lost", Lost: []job.MapOutputID{{Task: p.rng.IntN(p.m.maps.total), Epoch: p.run.Epoch, Attempt: 1}}}
	}
	return o
}

// repeat reports a second time what was reported before.
func (p *world) repeat() {
	if len(p.alive) == 0 {
		return
	}
	id := p.some()
	if n := len(p.late[id]); n > 0 {
		p.step(Reported{Member: id, Outcomes: slices.Clone(p.late[id][p.rng.IntN(n):])})
	}
}

// lose drops what was last sent to a member.
func (p *world) lose() {
	if len(p.alive) == 0 {
		return
	}
	id := p.some()
	if n := len(p.held[id]); n > 0 {
		at := p.rng.IntN(n)
		lost := slices.Clone(p.held[id][at:])
		p.held[id] = slices.Clone(p.held[id][:at])
		p.step(Undelivered{Member: id, Tasks: lost, Sent: p.rng.IntN(2) == 0, Until: p.now + time.Second})
	}
}

// emit hands over a chunk of subtasks of something that executes.
func (p *world) emit() {
	if len(p.alive) == 0 || p.emitted > 40 {
		return
	}
	id := p.some()
	for _, a := range p.held[id] {
		if a.ID.Kind != job.KindMap {
			continue
		}
		key := fmt.Sprint(a.ID, p.run.Epoch, a.Attempt)
		e := Staged{Task: a.ID, Epoch: p.run.Epoch, Attempt: a.Attempt, Index: p.staged[key], Seq: p.seq, N: 1 + p.rng.IntN(3)}
		for _, f := range p.step(e) {
			if _, kept := f.(Keep); kept {
				p.staged[key]++
				p.seq++
				p.emitted += e.N
				p.writing = append(p.writing, e)
			}
		}
		return
	}
}

// step lets the master see an event, and notes what it answers.
func (p *world) step(e Event) []Effect {
	p.note("%v %T %+v", p.now, e, e)
	effects := p.m.Step(p.now, e)
	for _, f := range effects {
		p.note("    - %T %+v", f, f)
		switch f := f.(type) {
		case Record:
			for _, o := range f.Outcomes {
				p.writing = append(p.writing, Recorded{Member: f.Member, Epoch: p.run.Epoch, Outcome: o})
			}
		case Lose:
			p.writing = append(p.writing, Lost{Epoch: p.run.Epoch, Name: f.Name, Tasks: f.Tasks})
		case Intend:
			p.writing = append(p.writing, Intended{Epoch: p.run.Epoch, Member: f.Member, Name: f.Name, Life: f.Life, Tasks: f.Tasks})
		case Assign:
			p.mayPlace(f)
			p.waiting = append(p.waiting, f)
		case Wake:
			p.wake = f.At
		default:
			p.waiting = append(p.waiting, f)
		}
	}
	if p.calm || p.rng.IntN(3) > 0 {
		p.flush()
	}
	return effects
}

// mayPlace panics if an assignment is one that must not be.
func (p *world) mayPlace(f Assign) {
	if !slices.Contains(p.alive, f.Member) {
		panic(fmt.Sprintf("tasks are assigned to %s, which is gone", f.Member))
	}
	for _, s := range f.Sources {
		if !slices.Contains(p.alive, s.Node) {
			panic(fmt.Sprintf("a reduce is to read from %s, which is gone", s.Node))
		}
	}
	for _, e := range append(slices.Clone(p.journal), p.writing...) {
		r, ok := e.(Recorded)
		if !ok || r.Outcome.Failure != nil && !r.Outcome.Failure.Permanent || p.run.Plan.Keyed && r.Outcome.Task.Kind == job.KindMap {
			continue
		}
		if slices.ContainsFunc(f.Tasks, func(a Placed) bool { return a.ID == r.Outcome.Task }) {
			panic(fmt.Sprintf("%v has an outcome and is placed again", r.Outcome.Task))
		}
	}
}

// flush ends a write: what it led to happens.
func (p *world) flush() {
	p.journal = append(p.journal, p.writing...)
	waiting := p.waiting
	p.writing, p.waiting = nil, nil
	for _, f := range waiting {
		switch f := f.(type) {
		case Assign:
			if slices.Contains(p.alive, f.Member) {
				p.held[f.Member] = append(slices.Clone(p.held[f.Member]), f.Tasks...)
			}
		case Recall:
			p.held[f.Member] = slices.DeleteFunc(slices.Clone(p.held[f.Member]), func(a Placed) bool { return slices.Contains(f.Tasks, a.ID) })
		case Finish:
			p.finish = &f
		}
	}
}

func (p *world) note(format string, args ...any) { p.log = append(p.log, fmt.Sprintf(format, args...)) }

// check holds the master's books against each other.
func (p *world) check() error {
	out := map[string]int{}
	groups, singles := map[string]int{}, map[string]int{}
	for _, t := range p.m.tables() {
		var running, fresh int
		for _, c := range t.chunks {
			if c.tasks == nil {
				if c.open == 0 {
					continue
				}
				fresh += c.n - c.fresh
				continue
			}
			for i := range c.tasks {
				k := &c.tasks[i]
				for _, h := range k.held {
					if h.member != nil {
						out[h.member.ID]++
						switch h.as {
						case grouped:
							groups[h.member.ID]++
						case alone:
							singles[h.member.ID]++
						}
					}
				}
				switch k.state {
				case placed:
					running++
				case ready:
					if i >= c.fresh && !k.queued {
						fresh++
					}
				}
			}
		}
		if t.running != running {
			return fmt.Errorf("%c: running is %d and should be %d", t.kind, t.running, running)
		}
		if p.finish == nil && len(p.run.Plan.Nodes) == 0 && t.unplaced != fresh {
			return fmt.Errorf("%c: %d tasks count as never placed, and %d are", t.kind, t.unplaced, fresh)
		}
	}
	for id, k := range p.m.members {
		if k.out != out[id] {
			return fmt.Errorf("member %s counts %d tasks and holds %d", id, k.out, out[id])
		}
		if k.group != groups[id] || k.alone != (singles[id] == 1) || k.alone && k.out > 1 {
			return fmt.Errorf("member %s counts %d suspects and %v, and holds %d and %d of %d", id, k.group, k.alone, groups[id], singles[id], out[id])
		}
	}
	return nil
}

// judge looks at the journal of a run that ended: of each task that is part of
// it there is one final outcome, but for map output that was made anew.
func (p *world) judge() error {
	total, finals, accepted := 0, map[job.TaskID]int{}, map[string]int{}
	for _, e := range p.journal {
		switch e := e.(type) {
		case Tasks:
			total += e.N
		case Staged:
			accepted[fmt.Sprint(e.Task, e.Epoch, e.Attempt)] += e.N
		case Recorded:
			if f := e.Outcome.Failure; f == nil || f.Permanent {
				finals[e.Outcome.Task]++
				if finals[e.Outcome.Task] > 1 && !(p.run.Plan.Keyed && e.Outcome.Task.Kind == job.KindMap) {
					return fmt.Errorf("%v has %d final outcomes", e.Outcome.Task, finals[e.Outcome.Task])
				}
				if f == nil {
					total += accepted[fmt.Sprint(e.Outcome.Task, e.Epoch, e.Outcome.Attempt)]
				}
			}
		}
	}
	if p.calm {
		return p.judgePoison(total, finals)
	}
	if (p.finish.State == job.Canceled) != (p.cancel != "") && p.finish.State != job.Failed {
		return fmt.Errorf("the run ended %v and was cancelled for %q", p.finish.State, p.cancel)
	}
	if p.finish.State != job.Succeeded {
		if p.finish.Reason == "" {
			return fmt.Errorf("the run ended %v for no reason", p.finish.State)
		}
		return nil
	}
	for n := range total {
		if finals[job.TaskID{Kind: job.KindMap, N: n}] == 0 {
			return fmt.Errorf("m%d of %d has no outcome and the run succeeded", n, total)
		}
	}
	for n := range p.run.Plan.Reduces {
		if finals[job.TaskID{Kind: job.KindReduce, N: n}] != 1 {
			return fmt.Errorf("r%d has %d outcomes and the run succeeded", n, finals[job.TaskID{Kind: job.KindReduce, N: n}])
		}
	}
	completed := 0
	for _, n := range p.m.Progress().Members {
		completed += n
	}
	if pr := p.m.Progress(); completed != pr.Done {
		return fmt.Errorf("the members completed %d tasks together: want %d", completed, pr.Done)
	}
	if pr := p.m.Progress(); pr.Done+pr.Failed != pr.Tasks || pr.Running != 0 {
		return fmt.Errorf("the run succeeded with %+v", pr)
	}
	return nil
}

// judgePoison looks at the journal of a run in which nothing failed but what
// killed its nodes.
func (p *world) judgePoison(total int, finals map[job.TaskID]int) error {
	failed := map[job.TaskID]bool{}
	for _, e := range p.journal {
		if r, ok := e.(Recorded); ok && r.Outcome.Failure != nil {
			if !r.Outcome.Failure.Quarantined || !p.poison[r.Outcome.Task] {
				return fmt.Errorf("%v has failed: %s", r.Outcome.Task, r.Outcome.Failure.Reason)
			}
			failed[r.Outcome.Task] = true
		}
	}
	limit, maps := p.m.losses(), 0
	if most := limit*len(p.poison) + p.unseen; p.deaths > most || p.unseen > 1 {
		return fmt.Errorf("%d members died of %d tasks, %d unseen", p.deaths, len(p.poison), p.unseen)
	}
	for id := range p.poison {
		if id.Kind == job.KindMap {
			maps++
		}
	}
	tolerated := maps <= p.run.Spec.Tolerate.Count
	for n := range total {
		id := job.TaskID{Kind: job.KindMap, N: n}
		if finals[id] == 0 || p.poison[id] != failed[id] {
			return fmt.Errorf("%v has %d outcomes, and failed is %v", id, finals[id], failed[id])
		}
	}
	for n := range p.run.Plan.Reduces {
		id := job.TaskID{Kind: job.KindReduce, N: n}
		if tolerated && (finals[id] == 0 || p.poison[id] != failed[id]) {
			return fmt.Errorf("%v has %d outcomes, and failed is %v", id, finals[id], failed[id])
		}
	}
	want := job.Failed
	if tolerated && len(p.poison) == maps {
		want = job.Succeeded
	}
	if p.finish.State != want {
		return fmt.Errorf("the run ended %v (%s), want %v", p.finish.State, p.finish.Reason, want)
	}
	return nil
}
