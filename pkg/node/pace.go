package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/pkg/job"
)

// ErrOverloaded says that as many runs wait as may, of the job or in all.
// Nothing was recorded. The error says how many that are and, once some have
// ended, about how long they take.
var ErrOverloaded error = &coded{"overloaded", "node: overloaded"}

// pace is when the latest runs of a job ended, the first of them first.
type pace []time.Time

const (
	// paced is how many ends a pace is taken from.
	paced = 32
	// paceFor is how long a pace says something.
	paceFor = time.Hour
	// mostPaces bounds how many jobs have one.
	mostPaces = 10_000
)

// ended takes note that n runs have ended by now.
func (p *pace) ended(n int, now time.Time) {
	for range min(n, paced) {
		if len(*p) == paced {
			*p = slices.Delete(*p, 0, 1)
		}
		*p = append(*p, now)
	}
}

// old reports whether the last end was too long ago to say something.
func (p *pace) old(now time.Time) bool { return p == nil || now.Sub((*p)[len(*p)-1]) > paceFor }

// take returns about how long n runs take, or false if that is not known.
func (p *pace) take(n int, now time.Time) (time.Duration, bool) {
	if p.old(now) {
		return 0, false
	}
	each := now.Sub((*p)[0]).Seconds() / float64(len(*p))
	d := time.Duration(min(float64(n)*each, 1e9) * float64(time.Second))
	return max(d.Round(time.Second), time.Second), true
}

// ended does what follows the end of runs.
func (l *leader) ended(ids ...job.RunID) {
	l.release(ids...)
	l.litter.ring()
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.paces) > mostPaces {
		clear(l.paces)
	}
	l.paceLocked("").ended(len(ids), now)
	for len(ids) > 0 { // those of a job come one after the other, mostly
		of, n := jobIn(ids[0]), 1
		for n < len(ids) && jobIn(ids[n]) == of {
			n++
		}
		l.paceLocked(of).ended(n, now)
		ids = ids[n:]
	}
}

// paceLocked returns the pace of a job, or that of all.
func (l *leader) paceLocked(of string) *pace {
	p := l.paces[of]
	if p == nil {
		p = new(pace)
		l.paces[of] = p
	}
	return p
}

// overloaded adds to the refusal of a run how long those take that wait.
func (l *leader) overloaded(run *job.Run, err error) error {
	if !is(err, state.ErrOverloaded) {
		return err
	}
	n, all, failed := l.state.Queued(run.Spec.Namespace, run.Spec.Name)
	of := jobOf(run)
	if run.Spec.MaxQueued == 0 || n < run.Spec.MaxQueued {
		n, of = all, "" // it is the cluster's limit
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if d, ok := l.paces[of].take(n, time.Now()); ok && failed == nil {
		return fmt.Errorf("%w; at the present rate those take about %v", err, d)
	}
	return fmt.Errorf("%w; how long those take is not known yet", err)
}
