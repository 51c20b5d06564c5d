package simulation_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/musterhq/muster/pkg/nodetest/simulation"
)

// nemesis is what breaks a world, by chance, and mends it.
type nemesis struct {
	w      *world
	rng    *rand.Rand
	active []fault
	down   []absence
	wiped  bool // a server has lost its disk
}

// fault is something that is wrong with the network or a clock until a time.
type fault struct {
	apply func()
	until time.Time
	cut   simulation.Cut // if it keeps a node from all others: that, since it was last applied
}

// absence is a node that is down until a time.
type absence struct {
	node  int
	wipe  bool
	until time.Time
}

// rage breaks things for a while, then mends all.
func (x *nemesis) rage(d time.Duration) {
	for began := time.Now(); time.Since(began) < d; {
		_ = pass(x.w.ctx, time.Duration(100+x.rng.IntN(3000))*time.Millisecond)
		x.mend(time.Now())
		if len(x.active)+len(x.down) < 3 {
			x.strike()
		}
	}
	x.mend(time.Now().Add(time.Hour))
}

// mend undoes what is over at a time.
func (x *nemesis) mend(now time.Time) {
	over := func(f fault) bool { return !f.until.After(now) }
	if slices.ContainsFunc(x.active, over) {
		x.tellCuts()
		x.active = slices.DeleteFunc(x.active, over)
		x.apply()
	}
	var still []absence
	for _, a := range x.down {
		if a.until.After(now) {
			still = append(still, a)
			continue
		}
		x.log(fmt.Sprintf("restart %d, wiped: %v", a.node, a.wipe))
		if a.wipe {
			x.w.c.Wipe(a.node)
		}
		x.w.restart(a.node)
	}
	x.down = still
}

// apply makes the network and the clocks as the faults that are active say.
func (x *nemesis) apply() {
	x.w.c.Heal()
	for i := range members {
		x.w.c.Skew(i, 0)
	}
	for i := range x.active {
		x.active[i].apply()
		x.active[i].cut.From = time.Now()
	}
}

// tellCuts writes down which nodes were cut off until now. Before others are,
// all are healed, and somebody may get through in the meantime.
func (x *nemesis) tellCuts() {
	for _, f := range x.active {
		if cut := f.cut; cut.Node != "" {
			cut.To = time.Now()
			x.w.tell(func(s *simulation.Story) { s.Cuts = append(s.Cuts, cut) })
		}
	}
}

func (x *nemesis) log(what string) { x.w.log.Info("NEMESIS", slog.String("does", what)) }

// strike breaks something.
func (x *nemesis) strike() {
	for _, i := range x.rng.Perm(len(strikes)) {
		if s := strikes[i]; x.rng.IntN(s.rare) == 0 {
			s.do(x)
			return
		}
	}
}

// soon returns when something that is broken is mended: mostly soon.
func (x *nemesis) soon() time.Time {
	d := 4000
	if x.rng.IntN(4) == 0 {
		d = 20_000
	}
	return time.Now().Add(time.Duration(200+x.rng.IntN(d)) * time.Millisecond)
}

// someone returns a node, often the one that leads.
func (x *nemesis) someone() int {
	if l := x.w.leader(); l >= 0 && x.rng.IntN(2) == 0 {
		return l
	}
	return x.rng.IntN(members)
}

// wrong does something to the network or a clock.
func (x *nemesis) wrong(what string, apply func()) { x.wrongWith(what, fault{apply: apply}) }

func (x *nemesis) wrongWith(what string, f fault) {
	x.log(what)
	f.until = x.soon()
	x.tellCuts()
	x.active = append(x.active, f)
	x.apply()
}

// cutOff keeps a node from all others, in some way.
func (x *nemesis) cutOff(what string, apply func(i int)) {
	i := x.someone()
	x.wrongWith(fmt.Sprintf("%s %d", what, i), fault{apply: func() { apply(i) }, cut: simulation.Cut{Node: fmt.Sprintf("n%d", i)}})
}

// kill kills those of nodes that are up, all at once.
func (x *nemesis) kill(wipe bool, nodes ...int) {
	nodes = slices.DeleteFunc(nodes, func(i int) bool { return x.w.get(i) == nil })
	x.log(fmt.Sprintf("kill %v, wipe: %v", nodes, wipe))
	x.tellCuts()
	x.w.kill(nodes...)
	x.apply()
	for _, i := range nodes {
		x.down = append(x.down, absence{i, wipe, x.soon()})
	}
}

// pairs does something to each two nodes.
func pairs(do func(i, j int)) {
	for i := range members {
		for j := range i {
			do(i, j)
		}
	}
}

// others does something to all nodes but one.
func others(i int, do func(j int)) {
	for j := range members {
		if j != i {
			do(j)
		}
	}
}

// strikes are all that can be broken. If one that is rare is drawn, it is done
// once in so many times.
var strikes = []struct {
	rare int
	do   func(x *nemesis)
}{
	{1, func(x *nemesis) { x.kill(false, x.someone()) }},
	{2, func(x *nemesis) { x.kill(true, servers+x.rng.IntN(members-servers)) }},
	{6, func(x *nemesis) { // at most once: what is on no majority's disk is lost
		i := x.rng.IntN(servers)
		if !x.wiped && len(x.down) == 0 && len(x.active) == 0 {
			x.wiped = true
			x.kill(true, i)
		}
	}},
	{4, func(x *nemesis) { x.kill(false, x.rng.Perm(members)[:2+x.rng.IntN(2)]...) }},
	{8, func(x *nemesis) { x.kill(false, 0, 1, 2, 3, 4) }},
	{1, func(x *nemesis) { // in good order, which takes the others
		if i := x.someone(); len(x.down) == 0 && len(x.active) == 0 {
			x.log(fmt.Sprintf("stop %d", i))
			x.w.set(i, nil)
			x.w.c.Stop(i)
			x.down = append(x.down, absence{i, false, x.soon()})
		}
	}},
	{1, func(x *nemesis) { x.cutOff("isolate", x.w.c.Isolate) }},
	{1, func(x *nemesis) { x.cutOff("freeze", x.w.c.Freeze) }},
	{1, func(x *nemesis) {
		all := x.rng.Perm(members)
		x.wrong(fmt.Sprintf("part %v from %v", all[:2], all[2:]), func() {
			for _, i := range all[:2] {
				for _, j := range all[2:] {
					x.w.c.Cut(i, j)
				}
			}
		})
	}},
	{2, func(x *nemesis) {
		all := x.rng.Perm(members)
		x.wrong(fmt.Sprintf("cut %d from %d", all[0], all[1]), func() { x.w.c.Cut(all[0], all[1]) })
	}},
	{2, func(x *nemesis) {
		x.cutOff("deafen", func(i int) { others(i, func(j int) { x.w.c.CutOneWay(j, i) }) })
	}},
	{2, func(x *nemesis) {
		x.cutOff("silence", func(i int) { others(i, func(j int) { x.w.c.CutOneWay(i, j) }) })
	}},
	{2, func(x *nemesis) {
		delay := time.Duration(x.rng.IntN(400)) * time.Millisecond
		x.wrong(fmt.Sprintf("slow, by %v", delay), func() { pairs(func(i, j int) { x.w.c.Slow(i, j, delay, delay) }) })
	}},
	{2, func(x *nemesis) {
		lose, duplicate, reorder := x.rng.Float64()/2, x.rng.Float64()/4, x.rng.Float64()/2
		x.wrong(fmt.Sprintf("lose %.2f, repeat %.2f, reorder %.2f of the packets", lose, duplicate, reorder), func() {
			pairs(func(i, j int) { x.w.c.Lossy(i, j, lose, duplicate, reorder) })
		})
	}},
	{2, func(x *nemesis) {
		i, d := x.someone(), time.Duration(x.rng.IntN(60)-30)*time.Second
		x.wrong(fmt.Sprintf("set the clock of %d by %v", i, d), func() { x.w.c.Skew(i, d) })
	}},
	{2, func(x *nemesis) {
		all := x.rng.Perm(members)
		x.log(fmt.Sprintf("reset %d and %d", all[0], all[1]))
		x.w.c.Reset(all[0], all[1])
	}},
}
