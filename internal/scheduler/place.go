package scheduler

import (
	"cmp"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Place is where a run stands that waits to begin: by priority, the highest
// first, then in the order of namespace, job and line, where the oldest comes
// first. A line is the runs of a job that wait for the same. None of these
// names has control characters.
type Place struct {
	Priority             int
	Namespace, Job, Line string
	Created              time.Time
	ID                   job.RunID
}

// Backlog is the runs that wait, in the order of their places. They may be too
// many for memory.
type Backlog interface {
	// Line returns the beginning of the first line at the given place or
	// behind it, and whether there is one.
	Line(Place) (Place, bool, error)
	// Run returns the first run at the given place, or behind it in the same
	// line, and whether there is one.
	Run(Place) (Place, bool, error)
}

// behind is added to a name to get what is behind all that the name begins,
// and before the next name.
const behind = "\x01"

func behindPriority(p Place) Place { return Place{Priority: p.Priority - 1} }

func behindNamespace(p Place) Place {
	return Place{Priority: p.Priority, Namespace: p.Namespace + behind}
}

func behindJob(p Place) Place {
	return Place{Priority: p.Priority, Namespace: p.Namespace, Job: p.Job + behind}
}

func behindLine(p Place) Place {
	return Place{Priority: p.Priority, Namespace: p.Namespace, Job: p.Job, Line: p.Line + behind}
}

func behindRun(p Place) Place {
	p.ID += behind
	return p
}

// line returns the beginning of the line that p is in, and so on.
func (p Place) line() Place {
	return Place{Priority: p.Priority, Namespace: p.Namespace, Job: p.Job, Line: p.Line}
}

func (p Place) job() Place {
	return Place{Priority: p.Priority, Namespace: p.Namespace, Job: p.Job}
}

func (p Place) priority() Place { return Place{Priority: p.Priority} }

// Compare returns -1, 0 or 1 as p is before, at or behind q.
func (p Place) Compare(q Place) int {
	return cmp.Or(
		cmp.Compare(q.Priority, p.Priority), cmp.Compare(p.Namespace, q.Namespace), cmp.Compare(p.Job, q.Job),
		cmp.Compare(p.Line, q.Line), p.Created.Compare(q.Created), cmp.Compare(p.ID, q.ID),
	)
}
