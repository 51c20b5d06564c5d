//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/host"
	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/benchmarks/chaos/work"
	"github.com/musterhq/muster/pkg/job"
)

// A scenario is a story of its own.
type scenario struct {
	about string
	tell  func(ctx context.Context, c *cluster, l *load) error
}

// scenarios is all of them, by the name they are asked for by.
var scenarios = map[string]*scenario{
	"million":  {"a run of -tasks tasks, while the leader, its master and a worker are killed in turn", million},
	"fires":    {"jobs are due every few seconds while one leader after the other is killed: each fire is one run, or was skipped with a reason", firestorm},
	"blackout": {"all nodes are killed in the middle of a run of -tasks tasks, and started again", blackout},
	"rolling":  {"all nodes are restarted one after the other, twice, while runs go on", rolling},
	"minority": {"a minority is cut off: it refuses writes, stops its attempts, and is back when it is healed", minority},
}

// about lists the scenarios for people.
func about() string {
	var b strings.Builder
	for _, name := range scenarioNames() {
		fmt.Fprintf(&b, "\n  %-9s %s", name, scenarios[name].about)
	}
	return b.String()
}

func scenarioNames() []string { return slices.Sorted(maps.Keys(scenarios)) }

// leafRest is how long each task of a flood rests, so that all three nodes can
// be lost before it is over.
const leafRest = 500 * time.Microsecond

// runTimeout bounds how long the run of a scenario may take.
const runTimeout = 5 * time.Minute

// flood begins a run of many tasks, and returns when it is under way.
func flood(ctx context.Context, l *load) (*submission, error) {
	s := l.begin(ctx, ctx, work.Flood(l.c.o.tasks, leafRest))
	return s, l.reach(ctx, s, 0.05)
}

// reach returns when so much of the tasks of a run is done.
func (l *load) reach(ctx context.Context, s *submission, share float64) error {
	want := int(share * float64(s.work.Tasks))
	err := wait(ctx, fmt.Sprintf("%d of %d tasks done", want, s.work.Tasks), runTimeout, func() bool {
		done, over := l.stands(s)
		return done >= want || over
	})
	done, over := l.stands(s)
	if over {
		say("the run was over before %.0f %% of it could be met: give it more -tasks", 100*share)
	} else {
		say("%d of %d tasks are done", done, s.work.Tasks)
	}
	return err
}

// stands returns where a run stood when it was last looked at.
func (l *load) stands(s *submission) (done int, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range slices.Backward(l.progress) {
		if p.Run == s.ID && s.ID != "" {
			return p.Done, p.Over
		}
	}
	return 0, false
}

// million kills the leader, the master and a worker in turn.
func million(ctx context.Context, c *cluster, l *load) error {
	n := &nemesis{c: c, l: l, rng: random(c.o.seed, 3), patience: ctx}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { l.probe(probing, ctx) })
	s, err := flood(ctx, l)
	for i, pick := range []func() *process{c.leader, func() *process { return c.master(s) }, n.worker} {
		if err != nil {
			return err
		}
		if i > 0 {
			err = l.reach(ctx, s, 0.05+0.25*float64(i))
		}
		kind := []string{"kill-leader", "kill-master", "kill-worker"}[i]
		err = errors.Join(err, n.kill(ctx, kind, pick()))
	}
	l.wg.Wait()
	stop()
	wg.Wait()
	return errors.Join(err, l.history(ctx, s))
}

// master returns the node that conducts a run, by the last that was heard.
func (c *cluster) master(s *submission) *process {
	for p, runs := range c.conducts() {
		if _, ok := runs[s.ID]; ok {
			return p
		}
	}
	return c.leader() // the run is over
}

// blackout kills all nodes at once.
func blackout(ctx context.Context, c *cluster, l *load) error {
	n := &nemesis{c: c, l: l, rng: random(c.o.seed, 3), patience: ctx}
	s, err := flood(ctx, l)
	if err == nil {
		err = l.reach(ctx, s, 0.4)
	}
	if err == nil {
		err = n.kill(ctx, "kill-all", c.nodes...)
	}
	l.wg.Wait()
	return errors.Join(err, l.history(ctx, s))
}

// history prints what the cluster says that happened to a run.
func (l *load) history(ctx context.Context, s *submission) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	run, err := l.c.client.Run(s.ID).Get(ctx)
	if err != nil {
		return err
	}
	tellHistory(run)
	return nil
}

// rolling restarts all nodes in peace under load.
func rolling(ctx context.Context, c *cluster, l *load) error {
	n := &nemesis{c: c, l: l, rng: random(c.o.seed, 3), patience: ctx}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { l.run(loading, ctx, random(c.o.seed, 2)) })
	wg.Go(func() { l.probe(loading, ctx) })
	rest(ctx, 2*time.Second)
	err := errors.Join(n.roll(ctx, "restart-all"), n.roll(ctx, "restart-all"))
	stop()
	wg.Wait()
	l.wg.Wait()
	return err
}

// minority cuts off the leader with a worker, both busy with long attempts.
func minority(ctx context.Context, c *cluster, l *load) error {
	if !host.Isolated() || c.o.servers == 1 {
		return errors.New("nothing can be cut off here: it takes namespaces, and more than one server")
	}
	n := &nemesis{c: c, l: l, rng: random(c.o.seed, 3), patience: ctx}
	// As many attempts as there are slots, longer than the cut.
	cut := 3 * c.o.fence
	attempt := cut + cut/2
	s := l.begin(ctx, ctx, work.Fan(0, c.o.slots*len(c.nodes), attempt, 0))
	if err := wait(ctx, "an attempt in each slot", time.Minute, func() bool {
		return l.executing(s) >= c.o.slots*len(c.nodes)
	}); err != nil {
		return err
	}
	off := []*process{c.leader(), n.worker()}
	say("%s are cut off", strings.Join(names(off), " and "))
	f := c.breaks(verdict.Fault{Kind: "cut-minority", Gone: true}, off...)
	began := now()
	if err := c.split(off); err != nil {
		return err
	}
	during, healed := context.WithCancel(ctx)
	probing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.probeCut(during, ctx) })
	wg.Go(func() { l.probe(probing, ctx) })
	rest(ctx, cut)
	healed()
	lives := []*life{off[0].life, off[1].life}
	healing := now()
	err := n.back(f, c.world.Heal())
	say("healed; all see each other again after %v", time.Since(healing).Round(time.Millisecond))
	for i, p := range off {
		if p.life != lives[i] {
			err = errors.Join(err, fmt.Errorf("%s was started again: want it back as it is", p.name))
		}
	}
	l.wg.Wait()
	stop()
	wg.Wait()
	return errors.Join(err, l.fenced(s, off, began, healing), l.history(ctx, s))
}

// executing counts the attempts at tasks of a run that are under way.
func (l *load) executing(s *submission) (n int) {
	l.mu.Lock()
	id := string(s.ID)
	l.mu.Unlock()
	all, err := ledger.Read(l.c.ledgers())
	if err != nil {
		return 0
	}
	for _, x := range all {
		if x.Run == id && x.Ended.IsZero() {
			n++
		}
	}
	return n
}

// fenced demands that the nodes that were cut off stopped their attempts
// before they were healed, and says why they did.
func (l *load) fenced(s *submission, off []*process, cut, healed time.Time) error {
	all, err := ledger.Read(l.c.ledgers())
	if err != nil {
		return err
	}
	stopped := 0
	for _, x := range all {
		if job.RunID(x.Run) != s.ID || !slices.Contains(names(off), x.Node) || !x.Began.Before(cut) || !x.Ended.IsZero() && x.Ended.Before(cut) {
			continue
		}
		if x.Ended.IsZero() || x.Ended.After(healed) {
			err = errors.Join(err, fmt.Errorf("%s went on with task %s while it was cut off", x.Node, x.Task))
			continue
		}
		if stopped++; stopped <= 2 {
			say("%s stopped task %s %v after it was cut off: %s", x.Node, x.Task, x.Ended.Sub(cut).Round(time.Millisecond), x.Err)
		}
	}
	say("%d attempts were stopped", stopped)
	return err
}
