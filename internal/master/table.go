package master

import (
	"container/heap"
	"slices"
	"sort"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// table holds the tasks of one kind. Tasks are kept in chunks, and a chunk
// only has a record for each of its tasks from the first that is placed to the
// last that is done: of a run of ten million tasks those in flight take
// memory, the others a few bytes for every thousand.
type table struct {
	kind    job.Kind
	chunks  []*chunk
	fresh   int // chunks before this one have no task that was never placed
	retry   []int
	delayed delays
	pace    pace
	begun   map[int]time.Duration // when tasks were first placed, if it is asked for
	suspicion
	quarantined []string // tasks, and why

	total, done, failed, running int
	unplaced                     int // tasks that were never placed
}

// chunk is tasks that came, and are kept in the journal, together.
type chunk struct {
	first, n int
	seq      uint64
	parent   job.TaskID
	pairs    bool // output and not tasks
	fresh    int  // tasks from here on were never placed
	open     int  // tasks without a final outcome
	keep     bool // records outlive the last outcome
	tasks    []task
}

type task struct {
	state    state
	queued   bool // in one of the queues of tasks that are placed again
	noted    bool // it is in the journal that the task is where the master lives
	failures int
	last     int       // number of the last attempt that was placed
	held     [2]hold   // the attempts that are placed
	avoid    *member   // where it failed last
	winner   outputRef // which attempt made the map output
}

type state uint8

const (
	ready   state = iota // may be placed
	placed               // at least one attempt is
	waiting              // for its back-off
	done
	failed
)

func (s state) final() bool { return s >= done }

// hold is an attempt on a member. No member, no attempt.
type hold struct {
	member  *member
	since   time.Duration
	attempt int32
	as      company
}

// release ends a hold and what it asked of its member.
func (h *hold) release() {
	k := h.member
	k.out--
	switch h.as {
	case grouped:
		k.group--
	case alone:
		k.alone = false
	}
	*h = hold{}
}

type outputRef struct {
	member  string
	epoch   uint64
	attempt int
}

func newTable(k job.Kind) *table { return &table{kind: k} }

// over reports whether every task has its final outcome.
func (t *table) over() bool { return t.done+t.failed == t.total }

// ready is how many tasks may be placed.
func (t *table) ready() int { return t.common() + len(t.grouped) + len(t.alone) }

// common is how many of them may be placed beside any others.
func (t *table) common() int { return t.unplaced + len(t.retry) }

func (t *table) add(c chunk) {
	c.first, c.open = t.total, c.n
	t.total += c.n
	t.unplaced += c.n
	t.chunks = append(t.chunks, &c)
}

// find returns task n and its chunk; the task is nil if it has no record,
// because it was never placed or all of its chunk is done.
func (t *table) find(n int) (*task, *chunk) {
	if n < 0 || n >= t.total {
		return nil, nil
	}
	i := sort.Search(len(t.chunks), func(i int) bool { return t.chunks[i].first > n }) - 1
	c := t.chunks[i]
	if c.tasks == nil {
		return nil, c
	}
	return &c.tasks[n-c.first], c
}

// touch is find for a task that is about to get a record.
func (t *table) touch(n int) (*task, *chunk) {
	_, c := t.find(n)
	if c == nil || c.tasks == nil && c.open == 0 {
		return nil, c
	}
	if c.tasks == nil {
		c.tasks = make([]task, c.n)
	}
	return &c.tasks[n-c.first], c
}

// settle gives a task its final state.
func (t *table) settle(n int, k *task, c *chunk, s state) {
	k.state = s
	t.forget(n)
	if s == done {
		t.done++
	} else {
		t.failed++
	}
	if c.open--; c.open == 0 && !c.keep {
		c.tasks = nil
	}
}

// forget lets go of what was only of interest while the task had no final outcome.
func (t *table) forget(n int) {
	if len(t.begun) > 0 {
		delete(t.begun, n)
	}
	if len(t.suspects) > 0 {
		delete(t.suspects, n)
	}
}

// again queues a task that is to be placed, and was before.
func (t *table) again(n int, k *task) {
	k.state, k.queued = ready, true
	switch s := t.suspects[n]; {
	case s == nil:
		t.retry = append(t.retry, n)
	case s.last:
		t.alone = append(t.alone, n)
	default:
		t.grouped = append(t.grouped, n)
	}
}

// next takes a task that may be placed off a queue, if there is one.
func (t *table) next(queue *[]int) (int, *task, *chunk) {
	for len(*queue) > 0 {
		n := (*queue)[0]
		*queue = (*queue)[1:]
		if k, c := t.find(n); k != nil && k.state == ready {
			return n, k, c
		}
	}
	return -1, nil, nil
}

// drop takes a task off the queue it is in.
func (t *table) drop(n int) {
	for _, q := range []*[]int{&t.retry, &t.grouped, &t.alone} {
		*q = slices.DeleteFunc(*q, func(i int) bool { return i == n })
	}
}

// nextFresh returns the number of a task that was never placed, and its chunk.
func (t *table) nextFresh() (int, *chunk) {
	for ; t.fresh < len(t.chunks); t.fresh++ {
		c := t.chunks[t.fresh]
		for c.fresh < c.n {
			n := c.first + c.fresh
			c.fresh++
			// A task with an outcome in the journal is not placed again, and one
			// that is queued is placed from there.
			if c.tasks == nil && c.open > 0 || c.tasks != nil && c.tasks[n-c.first].state == ready && !c.tasks[n-c.first].queued {
				t.unplaced--
				return n, c
			}
		}
	}
	return -1, nil
}

// each calls f for every task that has a record.
func (t *table) each(f func(n int, k *task, c *chunk)) {
	for _, c := range t.chunks {
		for i := range c.tasks {
			f(c.first+i, &c.tasks[i], c)
		}
	}
}

// due is when the first task that waits for its back-off may be placed.
func (t *table) due() time.Duration {
	if len(t.delayed) == 0 {
		return 0
	}
	return t.delayed[0].at
}

func (t *table) delay(n int, at time.Duration) { heap.Push(&t.delayed, delay{at, n}) }

// wake makes tasks ready whose back-off is over.
func (t *table) wake(now time.Duration) {
	for len(t.delayed) > 0 && t.delayed[0].at <= now {
		n := heap.Pop(&t.delayed).(delay).n
		if k, _ := t.find(n); k != nil && k.state == waiting {
			t.again(n, k)
		}
	}
}

type delay struct {
	at time.Duration
	n  int
}

type delays []delay

func (d delays) Len() int { return len(d) }
func (d delays) Less(i, j int) bool {
	return d[i].at < d[j].at || d[i].at == d[j].at && d[i].n < d[j].n
}
func (d delays) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *delays) Push(x any)   { *d = append(*d, x.(delay)) }
func (d *delays) Pop() any {
	old := *d
	x := old[len(old)-1]
	*d = old[:len(old)-1]
	return x
}
