package scheduler

import (
	"fmt"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Claim is what a run needs to begin: room among those it belongs together
// with.
type Claim struct {
	among  []Among
	bounds []bound
	// Weight is how many runs of the job begin in its turn.
	Weight int
}

// Among names runs that belong together: those of a namespace, of a job in it,
// or of a key in either.
type Among struct {
	namespace, job string
	key            string // the limit key
	overlap        string // the overlap key
}

// bound is a limit to runs that belong together.
type bound struct {
	among   Among
	running int
	rate    job.Rate
	of      string // whose runs they are, for people
	said    string // where the bound is said, if not in a Limit
	turns   trigger.Overlap
}

// ClaimOf returns the claim of a run, given the limits of its namespace.
func ClaimOf(run *job.Run, namespace []job.Limit) Claim {
	spec := &run.Spec
	ofNamespace, ofJob := Among{namespace: spec.Namespace}, Among{namespace: spec.Namespace, job: spec.Name}
	c := Claim{among: []Among{ofNamespace, ofJob}, Weight: max(spec.Weight, 1)}
	keyInNamespace, keyInJob := ofNamespace, ofJob
	if run.LimitKey != "" {
		keyInNamespace.key, keyInJob.key = run.LimitKey, run.LimitKey
		c.among = append(c.among, keyInNamespace, keyInJob)
	}
	if turns := takesTurns(run); turns != "" {
		one := bound{among: ofJob, running: 1, of: "of the job", turns: turns}
		if run.OverlapKey != "" {
			one.among.overlap = run.OverlapKey
			c.among = append(c.among, one.among)
		}
		c.bounds = append(c.bounds, one)
	}
	if spec.MaxRuns > 0 {
		c.bounds = append(c.bounds, bound{among: ofJob, running: spec.MaxRuns, of: "of the job", said: "its MaxRuns"})
	}
	for _, l := range spec.Limits {
		if l.By == job.ByKey {
			c.limit(l, keyInJob, "of key "+run.LimitKey)
		} else {
			c.limit(l, ofJob, "of the job")
		}
	}
	for _, l := range namespace {
		switch l.By {
		case job.ByKey:
			c.limit(l, keyInNamespace, fmt.Sprintf("of key %s in namespace %s", run.LimitKey, spec.Namespace))
		case job.ByJob:
			c.limit(l, ofJob, "of the job")
		default:
			c.limit(l, ofNamespace, "of namespace "+spec.Namespace)
		}
	}
	return c
}

// limit adds a limit. One by key does not bind a run that has none.
func (c *Claim) limit(l job.Limit, among Among, of string) {
	if l.By == job.ByKey && among.key == "" {
		return
	}
	b := bound{among: among, running: l.Running, of: of}
	if rate, err := job.ParseRate(l.Rate); err == nil { // it is checked where it is saved
		b.rate = rate
	}
	c.bounds = append(c.bounds, b)
}

// takesTurns returns the policy under which a run of a fire begins when the one
// before it is over, or nothing.
func takesTurns(run *job.Run) trigger.Overlap {
	switch run.Origin {
	case trigger.ReasonFire, trigger.ReasonCatchUp, trigger.ReasonEvent, trigger.ReasonDependency, trigger.ReasonLifecycle:
	default:
		return ""
	}
	switch policy := run.Spec.Schedule.Overlap; policy {
	case trigger.OverlapQueueOne, trigger.OverlapQueueAll, trigger.OverlapCancelOld:
		return policy
	}
	return ""
}

// Unbound reports whether no limit binds the run.
func (c *Claim) Unbound() bool { return len(c.bounds) == 0 }

// Rated reports whether a rate bounds how often the run, and others with it,
// begin: then it is to be recorded that it does, before it does.
func (c *Claim) Rated() bool {
	for i := range c.bounds {
		if c.bounds[i].rate.N > 0 {
			return true
		}
	}
	return false
}

// Shared reports whether a limit binds the run together with those of other
// jobs: then it may not overtake any that wait.
func (c *Claim) Shared() bool {
	for i := range c.bounds {
		if c.bounds[i].among.job == "" {
			return true
		}
	}
	return false
}

// Wait is what a run waits for. The zero value is nothing.
type Wait struct {
	// Blocks says which others wait for the same.
	Blocks Breadth
	// Until is when that is over, if time alone decides.
	Until time.Time
	among Among // those of whom one has to end, if time does not decide
	text  string
}

// String says it to people.
func (w Wait) String() string { return w.text }

// Breadth says which runs wait for the same as another.
type Breadth int

// The breadths, from none to all.
const (
	BlocksNothing   Breadth = iota
	BlocksKey               // those of its keys, in its job
	BlocksJob               // those of its job
	BlocksNamespace         // those of its namespace
	BlocksAll               // all
)

// breadth returns which runs a bound concerns.
func (b *bound) breadth() Breadth {
	switch {
	case b.among.key != "" || b.among.overlap != "":
		return BlocksKey
	case b.among.job != "":
		return BlocksJob
	}
	return BlocksNamespace
}

// wait says that n runs go on where that is too many.
func (b *bound) wait(n int) Wait {
	w := Wait{Blocks: b.breadth(), among: b.among}
	switch {
	case b.turns != "" && b.among.overlap != "":
		w.text = fmt.Sprintf("waits for the run before it of key %s, as Schedule.Overlap is %s", b.among.overlap, b.turns)
	case b.turns != "":
		w.text = fmt.Sprintf("waits for the run before it, as Schedule.Overlap is %s", b.turns)
	case b.said != "":
		w.text = fmt.Sprintf("waits: %d runs %s go on, and %s is %d", n, b.of, b.said, b.running)
	default:
		w.text = fmt.Sprintf("waits: %d runs %s go on, and the limit is %d", n, b.of, b.running)
	}
	return w
}

// pause says that too many have begun, until then.
func (b *bound) pause(until time.Time) Wait {
	whole := until.Add(time.Second - 1).UTC().Truncate(time.Second)
	return Wait{Blocks: b.breadth(), Until: until, text: fmt.Sprintf("waits until %s: %s %s", whole.Format(time.RFC3339), often(b.rate), b.of)}
}

// often says a rate as people do.
func often(r job.Rate) string {
	runs := "runs"
	if r.N == 1 {
		runs = "run"
	}
	per := "in " + r.Per.String()
	switch r.Per {
	case time.Second:
		per = "a second"
	case time.Minute:
		per = "a minute"
	case time.Hour:
		per = "an hour"
	case 24 * time.Hour:
		per = "a day"
	}
	return fmt.Sprintf("%d %s %s", r.N, runs, per)
}
