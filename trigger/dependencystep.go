package trigger

import (
	"slices"
	"time"
)

// Ended is a run of another job that has ended.
type Ended struct {
	// Job and Run name it.
	Job, Run string
	// Nominal is the instant of its fire, Partition the key of the part of the
	// data it worked on, if it has one.
	Nominal   time.Time
	Partition string
	// Outcome is how it ended, which is never OutcomeDone.
	Outcome Outcome
	// At is when it ended.
	At time.Time
}

// DependencyState is what a dependency remembers. The zero value is that of
// one that has seen nothing. It is bounded: of groups, and of groups with runs,
// the oldest goes when there are too many.
type DependencyState struct {
	Groups map[string]DependencyGroup `msgpack:"g,omitempty"`
}

// DependencyGroup is runs that belong together.
type DependencyGroup struct {
	// Runs are those that satisfy the dependency, by job. Of a group that will
	// not fire again there are none.
	Runs map[string]DependencyRun `msgpack:"r"`
	// Fired is whether they have made a run.
	Fired bool `msgpack:"f,omitempty"`
	// Last is when the last of them ended.
	Last time.Time `msgpack:"l"`
}

// DependencyRun is a run that satisfies a dependency.
type DependencyRun struct {
	Run string    `msgpack:"r"`
	At  time.Time `msgpack:"t"`
}

// DependencyFire is a run that a dependency makes.
type DependencyFire struct {
	// Group is what the runs have in common, which the run's identity is made
	// of: their nominal instant, their partition, or nothing.
	Group string
	// Nominal is that of the run that completed the group.
	Nominal time.Time
	// Runs are those it depends on, by job.
	Runs map[string]string
	// Again is set if the group has fired before.
	Again bool
}

// The most groups that are remembered, and runs in all of them.
const (
	maxGroups = 1000
	maxRuns   = 4000
)

// Step takes the end of a run in and returns the run it makes, or nil. It
// changes s and nothing else.
func (d Dependency) Step(s *DependencyState, e Ended) *DependencyFire {
	if !slices.Contains(d.jobs, e.Job) {
		return nil
	}
	name, ok := d.group(e)
	if !ok {
		return nil
	}
	g, there := s.Groups[name]
	if g.Fired && !d.again() {
		return nil
	}
	if g.Runs == nil {
		g.Runs = map[string]DependencyRun{}
	}
	if !d.satisfied(e.Outcome) {
		// Of the latest runs this one counts, and it does not satisfy; of runs
		// by nominal instant it may be tried again.
		delete(g.Runs, e.Job)
		if there {
			s.Groups[name] = g
		}
		return nil
	}
	again := g.Fired
	if known := g.Runs[e.Job]; known.Run == e.Run && known.At.Equal(e.At) {
		return nil // told twice
	}
	g.Runs[e.Job] = DependencyRun{e.Run, e.At}
	if e.At.After(g.Last) {
		g.Last = e.At
	}
	s.put(name, g)
	if !d.complete(g) {
		return nil
	}
	fire := &DependencyFire{Group: name, Nominal: e.Nominal, Runs: map[string]string{}, Again: again && d.match != MatchLatest}
	for job, run := range g.Runs {
		fire.Runs[job] = run.Run
	}
	switch g.Fired = true; {
	case d.match == MatchLatest: // each run counts once
		g = DependencyGroup{Last: g.Last}
	case !d.again():
		g.Runs = nil
	}
	s.Groups[name] = g
	return fire
}

// again reports whether a group may fire more than once.
func (d Dependency) again() bool { return d.retrigger || d.match == MatchLatest }

// group is the name of what a run belongs to. A run without a partition
// belongs to none of them.
func (d Dependency) group(e Ended) (name string, ok bool) {
	switch d.match {
	case MatchPartition:
		return short(e.Partition), e.Partition != ""
	case MatchLatest:
		return "", true
	}
	return e.Nominal.UTC().Format(time.RFC3339Nano), !e.Nominal.IsZero()
}

func (d Dependency) satisfied(o Outcome) bool {
	return o == d.on || d.on == OutcomeDone
}

// complete returns whether enough jobs have satisfied the dependency; under
// MatchLatest, at about the same time.
func (d Dependency) complete(g DependencyGroup) bool {
	n := 0
	for _, run := range g.Runs {
		if d.match != MatchLatest || g.Last.Sub(run.At) <= d.within {
			n++
		}
	}
	return n >= defaulted(d.need, len(d.jobs))
}

// put remembers a group, if need be in place of the oldest ones.
func (s *DependencyState) put(name string, g DependencyGroup) {
	if s.Groups == nil {
		s.Groups = map[string]DependencyGroup{}
	}
	delete(s.Groups, name)
	if len(s.Groups) >= maxGroups {
		s.drop(0)
	}
	runs := len(g.Runs)
	for _, other := range s.Groups {
		runs += len(other.Runs)
	}
	for runs > maxRuns {
		runs -= s.drop(1)
	}
	s.Groups[name] = g
}

// drop forgets the oldest group that has at least so many runs, and returns how
// many.
func (s *DependencyState) drop(least int) int {
	oldest, found := "", false
	for name, g := range s.Groups {
		if o := s.Groups[oldest]; len(g.Runs) >= least && (!found || g.Last.Before(o.Last) || g.Last.Equal(o.Last) && name < oldest) {
			oldest, found = name, true
		}
	}
	runs := len(s.Groups[oldest].Runs)
	delete(s.Groups, oldest)
	return runs
}
