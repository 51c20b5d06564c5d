// Package scheduler says what may begin, on the node that leads.
//
// It is pure: it is told what begins and ends, and answers. Who asks it, and
// what follows, is the node's business. When the node leads no more, what it
// knew is forgotten: the next leader begins with what the state says.
package scheduler

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/roll"
	"github.com/musterhq/muster/pkg/job"
)

// Admission counts the runs that have begun and not ended, by all that they
// have in common, remembers how often they began, and says whether another one
// may. It is not safe for use by several goroutines at once.
type Admission struct {
	max     int
	begun   roll.Of[Claim]
	counts  map[Among]int
	windows map[rated]*Window
	spent   map[rated]bool // the windows that changed since they were written
}

// rated is what a window is about: a rate, and whose.
type rated struct {
	among Among
	rate  job.Rate
}

// NewAdmission returns an Admission that lets at most max runs of all jobs go
// on at a time. Zero means any number.
func NewAdmission(max int) *Admission {
	return &Admission{
		max: max, counts: map[Among]int{}, windows: map[rated]*Window{}, spent: map[rated]bool{},
	}
}

// Room reports whether a run of some job may begin.
func (a *Admission) Room() bool { return a.max <= 0 || a.begun.Len() < a.max }

// Left returns how many more runs may begin at once, of any job.
func (a *Admission) Left() int {
	if a.max <= 0 {
		return math.MaxInt
	}
	return a.max - a.begun.Len()
}

// Wait returns what a run with a claim waits for: if several, what blocks most
// others.
func (a *Admission) Wait(c Claim, now time.Time) Wait {
	if !a.Room() {
		return Wait{Blocks: BlocksAll, text: fmt.Sprintf("waits: %d runs go on, and Config.MaxRuns is %d", a.begun.Len(), a.max)}
	}
	var worst Wait
	for i := range c.bounds {
		b := &c.bounds[i]
		if b.breadth() <= worst.Blocks {
			continue
		}
		if n := a.counts[b.among]; b.running > 0 && n >= b.running {
			worst = b.wait(n)
		} else if until := a.free(b, now); until.After(now) {
			worst = b.pause(until)
		}
	}
	return worst
}

// free returns when the rate of a bound lets another run begin.
func (a *Admission) free(b *bound, now time.Time) time.Time {
	if b.rate.N == 0 {
		return now
	}
	if w := a.windows[rated{b.among, b.rate}]; w != nil {
		return w.Free(b.rate, now)
	}
	return now
}

// Begin counts a run that begins now, whether it may or not.
func (a *Admission) Begin(id job.RunID, c Claim, now time.Time) {
	a.Resume(id, c)
	for i := range c.bounds {
		if b := &c.bounds[i]; b.rate.N > 0 {
			r := rated{b.among, b.rate}
			if a.windows[r] == nil {
				a.windows[r] = new(Window)
			}
			a.windows[r].Add(b.rate, now)
			a.spent[r] = true
		}
	}
}

// Resume counts a run that began earlier.
func (a *Admission) Resume(id job.RunID, c Claim) {
	a.End(id)
	a.begun.Put(id, c)
	for _, among := range c.among {
		a.counts[among]++
	}
}

// End counts a run that has ended, and returns what it had claimed. One that
// was not counted is none.
func (a *Admission) End(id job.RunID) Claim {
	c, ok := a.begun.Get(id)
	if !ok {
		return c
	}
	a.begun.Delete(id)
	for _, among := range c.among {
		if a.counts[among]--; a.counts[among] == 0 {
			delete(a.counts, among)
		}
	}
	return c
}

// Running returns how many runs of a job go on, and how many of all jobs do.
func (a *Admission) Running(namespace, name string) (ofJob, total int) {
	return a.counts[Among{namespace: namespace, job: name}], a.begun.Len()
}

// Spent is a Window as it is kept for the leader after this one.
type Spent struct {
	// Of says whose window it is: text without control characters.
	Of string
	// Window is nil for one that nothing is left of.
	Window []byte
}

// Spent returns the windows that have changed since it was called last. Before
// they are recorded no run may begin that they were changed for.
func (a *Admission) Spent() []Spent {
	all := make([]Spent, 0, len(a.spent))
	for r := range a.spent {
		all = append(all, Spent{r.String(), a.windows[r].Bytes()})
	}
	clear(a.spent)
	return all
}

// Over forgets the windows that nothing is left of, and returns those.
func (a *Admission) Over(now time.Time) []Spent {
	var over []Spent
	for r, w := range a.windows {
		if !a.spent[r] && !w.Until(r.rate).After(now) {
			delete(a.windows, r)
			over = append(over, Spent{Of: r.String()})
		}
	}
	return over
}

// Recall takes over a window from the leader before.
func (a *Admission) Recall(s Spent) error {
	r, err := parseRated(s.Of)
	if err != nil {
		return err
	}
	w, err := WindowOf(s.Window)
	if err != nil {
		return fmt.Errorf("%w: %q", err, s.Of)
	}
	a.windows[r] = w
	return nil
}

// String returns what is told apart by: rate, namespace, job and key. What is in
// a key is quoted, as it may be anything.
func (r rated) String() string {
	return fmt.Sprintf("%v %s/%s/%+q", r.rate, r.among.namespace, r.among.job, r.among.key)
}

func parseRated(text string) (r rated, err error) {
	rate, rest, _ := strings.Cut(text, " ")
	names := strings.SplitN(rest, "/", 3)
	if r.rate, err = job.ParseRate(rate); err != nil || len(names) != 3 {
		return r, fmt.Errorf("scheduler: %q: want a rate, a namespace, a job and a key", text)
	}
	r.among.namespace, r.among.job = names[0], names[1]
	_, err = fmt.Sscanf(names[2], "%q", &r.among.key)
	return r, err
}
