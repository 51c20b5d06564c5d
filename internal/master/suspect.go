package master

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/musterhq/muster/pkg/job"
)

// A task that is lost with its member is placed anew, for as a rule it has
// nothing to do with the loss. But a task can kill the node that executes it,
// and would take one member after the other. One that was lost too often is
// quarantined: it has failed for good, and the rest of the run goes on to the
// end of its phase.
//
// What else was on those members must not be quarantined with it. So all that
// was there is suspect from then on. Suspects go out in small groups, one group
// to a member, which narrows thousands down in a few rounds; and one that the
// next loss would condemn has its member to itself, so that the loss can be
// laid at nobody else's door.

// suspicion is the tasks of a table that were lost with a member and have no
// final outcome.
type suspicion struct {
	suspects map[int]*suspect
	grouped  []int // those that may be placed, in groups
	alone    []int // those that may be placed, each by itself
}

type suspect struct {
	nodes []string // the members it was lost with, by name
	last  bool     // the next loss condemns it
}

// company is what else may be on the member of an attempt.
type company uint8

const (
	mixed   company = iota // anything
	grouped                // no suspects but its group
	alone                  // nothing else of the run
)

// losses is how often a task may be lost.
func (m *Master) losses() int { return cmp.Or(m.run.Spec.Retry.Losses, 3) }

// blame notes that a task was lost with a member.
func (m *Master) blame(t *table, n int, on string) {
	s := t.suspects[n]
	if s == nil {
		if t.suspects == nil {
			t.suspects = map[int]*suspect{}
		}
		s = &suspect{}
		t.suspects[n] = s
	}
	s.nodes = append(s.nodes, on)
	s.last = len(s.nodes) >= m.losses()-1
}

// lose blames tasks for the loss of the member that had them, and has that
// recorded. Those of them that can't be somewhere else are not to blame.
func (m *Master) lose(id, name string, tasks []job.TaskID) {
	tasks = slices.DeleteFunc(tasks, func(id job.TaskID) bool {
		t := m.table(id.Kind)
		k, _ := t.touch(id.N)
		return k == nil || k.state.final() || m.pinned(t)
	})
	if len(tasks) == 0 {
		return
	}
	slices.SortFunc(tasks, compareTasks)
	tasks = slices.Compact(tasks)
	name = cmp.Or(name, id)
	m.effects = append(m.effects, Lose{Member: id, Name: name, Tasks: tasks})
	for _, id := range tasks {
		m.blame(m.table(id.Kind), id.N, name)
	}
	for _, t := range m.tables() {
		t.sort()
	}
}

// sort puts what is queued into the queues where it belongs, after some of it
// was blamed.
func (t *table) sort() {
	queued := slices.Concat(t.retry, t.grouped, t.alone)
	t.retry, t.grouped, t.alone = nil, nil, nil
	for _, n := range queued {
		if k, _ := t.find(n); k != nil && k.queued {
			t.again(n, k)
		}
	}
}

// condemn quarantines the suspects that were lost too often; on is the member
// that was the last.
func (m *Master) condemn(on string) {
	for _, t := range m.tables() {
		for _, n := range slices.Sorted(maps.Keys(t.suspects)) {
			s := t.suspects[n]
			if m.done || s == nil || len(s.nodes) < m.losses() {
				continue
			}
			f := &job.Failure{Reason: "quarantined: it was lost with the nodes that had it, " + and(s.nodes), Permanent: true, Quarantined: true}
			m.note("%v is %s", job.TaskID{Kind: t.kind, N: n}, f.Reason)
			m.fail(t, n, on, f)
		}
	}
}

// named tells of the tasks of a table that are quarantined.
func (t *table) named() string {
	const most = 10
	n := len(t.quarantined)
	s := strings.Join(t.quarantined[:min(n, most)], "; ")
	if n > most {
		s += fmt.Sprintf("; %d more were quarantined", n-most)
	}
	return s
}

// and is a list of names as it is spoken.
func and(names []string) string {
	times := map[string]int{}
	var list []string
	for _, name := range names {
		if times[name]++; times[name] == 1 {
			list = append(list, name)
		}
	}
	for i, name := range list {
		if n := times[name]; n > 1 {
			list[i] = fmt.Sprintf("%s (%d times)", name, n)
		}
	}
	last := len(list) - 1
	if last == 0 {
		return list[0]
	}
	return strings.Join(list[:last], ", ") + " and " + list[last]
}
