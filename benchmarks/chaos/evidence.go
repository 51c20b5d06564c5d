//go:build unix

package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/pkg/job"
)

// evidence asks the cluster, which is whole again, for its account, and adds
// ours.
func (l *load) evidence(ctx context.Context) (e verdict.Evidence, err error) {
	if e.Listed, err = l.ended(ctx); err != nil {
		return e, fmt.Errorf("list the runs: %w", err)
	}
	byKey := map[string]*job.Run{}
	for i := range e.Listed {
		r := &e.Listed[i]
		if r.Key == "" && r.Origin == "" {
			r.Key = r.Spec.Params // of a lot
		}
		byKey[r.Key] = r
	}
	l.mu.Lock()
	asked := slices.Clone(l.asked)
	e.Progress, e.Writes = slices.Clone(l.progress), slices.Clone(l.writes)
	l.mu.Unlock()
	slices.SortStableFunc(e.Writes, func(a, b verdict.Write) int { return a.Began.Compare(b.Began) })
	slices.SortStableFunc(e.Progress, func(a, b verdict.Sample) int { return a.At.Compare(b.At) })
	tokens := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for _, s := range asked {
		tokens <- struct{}{}
		wg.Go(func() {
			defer func() { <-tokens }()
			l.settle(ctx, s, byKey[s.Key])
		})
	}
	wg.Wait()
	for _, s := range asked {
		e.Runs = append(e.Runs, s.Run)
	}
	l.c.mu.Lock()
	e.Faults = slices.Clone(l.c.faults)
	l.c.mu.Unlock()
	return e, nil
}

// ended returns all runs that the cluster has, when they are all over or had
// time enough for that.
func (l *load) ended(ctx context.Context) (all []job.Run, err error) {
	soon, cancel := context.WithTimeout(ctx, l.c.o.settle)
	defer cancel()
	for {
		all, err = l.list(ctx)
		going := slices.ContainsFunc(all, func(r job.Run) bool { return !r.State.Done() })
		if err == nil && !going || !rest(soon, time.Second) {
			return all, err
		}
	}
}

// list returns all runs that the cluster has.
func (l *load) list(ctx context.Context) (all []job.Run, err error) {
	for after := job.RunID(""); ; after = all[len(all)-1].ID {
		var page []job.Run
		for range 10 {
			once, cancel := context.WithTimeout(ctx, readTimeout)
			page, err = l.c.client.Runs(once, after, 1000)
			cancel()
			if err == nil || !rest(ctx, time.Second) {
				break
			}
		}
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
	}
}

// settle completes a submission by what there is at the end.
func (l *load) settle(ctx context.Context, s *submission, final *job.Run) {
	if s.Final = final; final == nil {
		return
	}
	s.ID = final.ID
	if s.work.Everywhere {
		s.Want = map[string]string{}
		for _, id := range final.Plan.Nodes {
			name := l.c.nameOf(id)
			s.Want[name] = name
		}
	}
	if s.Tasks == 0 {
		s.Tasks = final.Plan.Roots + final.Plan.Reduces
		if final.Plan.Before {
			s.Tasks++
		}
	}
	if final.State != job.Succeeded {
		return
	}
	r := l.c.client.Run(final.ID)
	got, err := l.readOnce(ctx, r, s)
	if err != nil && rest(ctx, time.Second) {
		got, err = l.readOnce(ctx, r, s)
	}
	if err != nil {
		s.Unread = err.Error()
		return
	}
	s.Got = got.Items
	if s.read != nil && !slices.Equal(sorted(s.read), sorted(got.Items)) {
		s.Unread = "it is not what it was when the run was over"
	}
	if len(got.Failed) > 0 {
		s.Excused = map[string]string{}
		for task, why := range got.Failed {
			if task < len(final.Plan.Nodes) {
				s.Excused[l.c.nameOf(final.Plan.Nodes[task])] = why
			}
		}
	}
}

func sorted(items []verdict.Item) []verdict.Item {
	return slices.SortedFunc(slices.Values(items), func(a, b verdict.Item) int {
		if a.Key != b.Key {
			return map[bool]int{true: -1, false: 1}[a.Key < b.Key]
		}
		return map[bool]int{true: -1, false: 1}[a.Value < b.Value]
	})
}

// nameOf returns the name of the node of an ID.
func (c *cluster) nameOf(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name, ok := c.names[id]; ok {
		return name
	}
	return id
}

// refusals returns what the writers that were cut off were told, the most
// frequent first.
func refusals(writes []verdict.Write) []string {
	count := map[string]int{}
	for _, w := range writes {
		if w.Cut && w.Err != "" {
			count[anonymous.ReplaceAllString(w.Err, "")]++
		}
	}
	return slices.SortedFunc(maps.Keys(count), func(a, b string) int { return count[b] - count[a] })
}

// anonymous matches the ID of a run.
var anonymous = regexp.MustCompile(` [a-z]+/[a-z]+@[0-9TZ]+-[a-z0-9]+`)
