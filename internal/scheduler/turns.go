package scheduler

import "github.com/musterhq/muster/pkg/job"

// Turns chooses which of the runs that wait begins next, so that nobody waits
// for ever behind somebody who has much to do.
//
// A run of a lower priority begins when none of a higher one may. Of one
// priority the jobs take turns, in each as many runs begin as its weight says,
// and those are of its lines in turn. So between two runs of a line that could
// begin, no other line of its job begins more than one, and no other job more
// than its weight for each line of this one.
//
// It remembers whose turn it was, and nothing of those that wait.
type Turns struct {
	jobs  map[int]turn     // the last, by priority
	lines map[Place]string // the last line of a job that has several
}

// turn is that of a job: how much of it is left.
type turn struct {
	job  Place
	left int
}

// maxTurns bounds of how many jobs it is remembered which line was the last.
const maxTurns = 100_000

// NewTurns returns a Turns that begins anywhere.
func NewTurns() *Turns { return &Turns{jobs: map[int]turn{}, lines: map[Place]string{}} }

// Answer is what became of a run whose turn it was.
type Answer struct {
	// Begins says that it begins, and Weight how many do in a turn of its job.
	Begins bool
	Weight int
	// Blocks says which others need not be asked, as they wait for the same. A
	// run that neither begins nor blocks another has begun or ended already.
	Blocks Breadth
}

// Choose asks runs in turn until it has chosen so many, or none is left that
// may begin, and returns how many it has. It takes steps for those that begin,
// and one for each line that is blocked.
func (t *Turns) Choose(b Backlog, most int, ask func(Place) (Answer, error)) (chosen int, err error) {
	c := choice{Turns: t, backlog: b, most: most, ask: ask, blocked: map[string]bool{}}
	for at := (Place{Priority: job.MaxPriority}); c.goesOn(); {
		first, ok, err := b.Line(at)
		if err != nil || !ok {
			return c.chosen, err
		}
		if err := c.among(first.priority()); err != nil {
			return c.chosen, err
		}
		if first.Priority <= -job.MaxPriority {
			break
		}
		at = behindPriority(first)
	}
	return c.chosen, nil
}

// choice is a Choose under way.
type choice struct {
	*Turns
	backlog Backlog
	most    int
	ask     func(Place) (Answer, error)
	chosen  int
	full    bool            // nothing more may begin
	blocked map[string]bool // namespaces, in the present priority
}

func (c *choice) goesOn() bool { return c.chosen < c.most && !c.full }

// contender is a job, with its lines.
type contender struct {
	at    Place
	lines ring[*queue]
}

// queue is a line, with who is the next in it.
type queue struct{ next Place }

// among lets the jobs of one priority take turns.
func (c *choice) among(priority Place) error {
	clear(c.blocked)
	last := c.jobs[priority.Priority]
	from := priority
	if last.job.Job != "" {
		if from = last.job; last.left == 0 {
			from = behindJob(last.job)
		}
	}
	walk := round(c.backlog, priority, from, Place.priority, func(p Place) Place {
		if c.blocked[p.Namespace] {
			return behindNamespace(p)
		}
		return behindJob(p)
	})
	jobs := ring[*contender]{find: func() (*contender, bool, error) {
		p, ok, err := walk.next()
		return &contender{at: p.job()}, ok, err
	}}
	for c.goesOn() {
		j, ok, err := jobs.next()
		if err != nil || !ok {
			return err
		}
		left := 0
		if j.at == last.job {
			left, last.left = last.left, 0
		}
		if more, err := c.turn(j, left); err != nil {
			return err
		} else if !more {
			jobs.remove()
		}
	}
	return nil
}

// turn lets runs of a job begin: as many as are left of its turn or, if none
// are, as its weight says. It reports whether more may.
func (c *choice) turn(j *contender, left int) (more bool, err error) {
	if c.blocked[j.at.Namespace] {
		return false, nil
	}
	if j.lines.find == nil {
		c.line(j)
	}
	for c.goesOn() {
		a, line, err := c.one(j)
		if err != nil || !a.Begins {
			return false, err
		}
		c.chosen++
		if left == 0 {
			left = max(a.Weight, 1)
		}
		left--
		c.jobs[j.at.Priority] = turn{j.at, left}
		if line != "" || c.lines[j.at] != "" {
			if len(c.lines) >= maxTurns {
				clear(c.lines)
			}
			c.lines[j.at] = line
		}
		if left == 0 {
			return true, nil
		}
	}
	return true, nil
}

// line finds the lines of a job, beginning behind the one that was the last.
func (c *choice) line(j *contender) {
	from := j.at
	if last, ok := c.lines[j.at]; ok {
		from.Line = last
		from = behindLine(from)
	}
	walk := round(c.backlog, j.at, from, Place.job, behindLine)
	j.lines.find = func() (*queue, bool, error) {
		p, ok, err := walk.next()
		return &queue{p}, ok, err
	}
}

// one lets one run of a job begin, of the first line that can. If none does
// nothing of the job may.
func (c *choice) one(j *contender) (a Answer, line string, err error) {
	for c.goesOn() {
		q, ok, err := j.lines.next()
		if err != nil || !ok {
			return Answer{}, "", err
		}
		a, err := c.head(q)
		switch {
		case err != nil || a.Begins:
			return a, q.next.Line, err
		case a.Blocks >= BlocksJob:
			c.full = a.Blocks == BlocksAll
			if a.Blocks == BlocksNamespace {
				c.blocked[j.at.Namespace] = true
			}
			return Answer{}, "", nil
		}
		j.lines.remove()
	}
	return Answer{}, "", nil
}

// head asks the first of a line that has not begun yet.
func (c *choice) head(q *queue) (Answer, error) {
	for {
		p, ok, err := c.backlog.Run(q.next)
		if err != nil || !ok {
			return Answer{Blocks: BlocksKey}, err
		}
		a, err := c.ask(p)
		q.next = behindRun(p)
		if err != nil || a.Begins || a.Blocks != BlocksNothing {
			return a, err
		}
	}
}
