package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/musterhq/muster/benchmarks/peers/input"
	"github.com/musterhq/muster/benchmarks/peers/report"
	"github.com/musterhq/muster/benchmarks/peers/side"
)

// A cell is one piece of work that sides are given, one after the other.
type cell struct {
	id, title string
	unit      string
	work      side.Work
	bytes     int64 // about
	// make makes the input, for those that have one.
	make func(ctx context.Context, dir string) (input.Input, error)
	// without are the sides that it would take too long.
	without []string
}

// A plan is what is measured, and how it is put together.
type plan struct {
	cells  []cell
	series []report.Series
}

// newPlan lays out what to measure of what was asked for.
func newPlan(s sizes, seed uint64) plan {
	var p plan
	p.tasks(s)
	p.latency(s)
	p.text(s, seed)
	p.sort(s, seed)
	p.groups(s, seed)
	return p
}

// add adds a cell unless it is there.
func (p *plan) add(c cell) {
	if !slices.ContainsFunc(p.cells, func(k cell) bool { return k.id == c.id }) {
		p.cells = append(p.cells, c)
	}
}

// line adds a series of the cells that of returns for each of values, from the
// least on.
func line[V cmp.Ordered](p *plan, kind, title, x string, values []V, of func(V) cell, at func(V) (float64, string)) {
	s := report.Series{Kind: kind, Title: title, X: x}
	for _, v := range slices.Sorted(slices.Values(values)) {
		c := of(v)
		p.add(c)
		x, label := at(v)
		s.At = append(s.At, report.Point{Cell: c.id, X: x, Label: label})
	}
	if len(s.At) > 1 {
		p.series = append(p.series, s)
	}
}

func byCount(n int64) (float64, string) { return float64(n), report.Count(n) }

func bySize(n int64) (float64, string) { return float64(n), report.Size(n) }

func (p *plan) tasks(s sizes) {
	of := func(n, payload int64) cell {
		c := cell{
			id: fmt.Sprintf("tasks-%d-%d", n, payload), title: fmt.Sprintf("%s no-op tasks with %s of payload each", report.Count(n), report.Size(payload)),
			unit: "tasks", bytes: n * payload,
			work: side.Work{Kind: side.Tasks, Tasks: int(n), Payload: int(payload)},
		}
		for name, limit := range s.limits {
			if n > limit {
				c.without = append(c.without, name)
			}
		}
		return c
	}
	line(p, side.Tasks, "Cost of a task, by how many there are", "tasks", s.tasks,
		func(n int64) cell { return of(n, 0) }, byCount)
	line(p, side.Tasks, fmt.Sprintf("Cost of each of %s tasks, by the payload", report.Count(s.payloadTasks)), "bytes of payload", s.payloads,
		func(payload int64) cell { return of(s.payloadTasks, payload) },
		func(payload int64) (float64, string) { return float64(max(payload, 64)), report.Size(payload) }) // there is no logarithm of 0
}

func (p *plan) latency(s sizes) {
	if s.latencies > 0 {
		p.add(cell{
			id: "latency", title: fmt.Sprintf("one task at a time, %s times", report.Count(s.latencies)),
			unit: "tasks", work: side.Work{Kind: side.Latency, Tasks: int(s.latencies)},
		})
	}
}

func (p *plan) text(s sizes, seed uint64) {
	of := func(size int64, exponent float64) cell {
		e := strconv.FormatFloat(exponent, 'g', -1, 64)
		return cell{
			id: fmt.Sprintf("wordcount-%d-%s", size, e), title: fmt.Sprintf("words of %s of text by Zipf's law with exponent %s", report.Size(size), e),
			unit: "words", bytes: size, work: side.Work{Kind: side.WordCount, Memory: s.memory},
			make: func(ctx context.Context, dir string) (input.Input, error) {
				return input.MakeText(ctx, dir, size, exponent, seed)
			},
		}
	}
	line(p, side.WordCount, "Cost of a MiB of text, by how many there are", "text", s.text,
		func(size int64) cell { return of(size, 1) }, bySize)
	line(p, side.WordCount, fmt.Sprintf("Cost of each MiB of %s, by how skewed the words are", report.Size(s.exponentText)), "exponent", s.exponents,
		func(e float64) cell { return of(s.exponentText, e) },
		func(e float64) (float64, string) { return e, strconv.FormatFloat(e, 'g', -1, 64) })
}

func (p *plan) sort(s sizes, seed uint64) {
	of := func(size, length, memory int64) cell {
		return cell{
			id: fmt.Sprintf("sort-%d-%d-%d", size, length, memory), title: fmt.Sprintf("%s of records of %s, within %s of memory", report.Size(size), report.Size(length), report.Size(memory)),
			unit: "records", bytes: size, work: side.Work{Kind: side.Sort, Memory: memory},
			make: func(ctx context.Context, dir string) (input.Input, error) {
				return input.MakeRecords(ctx, dir, size, int(length), seed)
			},
		}
	}
	line(p, side.Sort, "Cost of a MiB of records, by how many there are", "records", s.sort,
		func(size int64) cell { return of(size, input.RecordBytes, s.memory) }, bySize)
	line(p, side.Sort, fmt.Sprintf("Cost of each MiB of %s of records, by how long they are", report.Size(s.lengthBytes)), "bytes of a record", s.lengths,
		func(length int64) cell { return of(s.lengthBytes, length, s.memory) }, bySize)
	if s.tight > 0 && len(s.sort) > 0 {
		p.add(of(slices.Max(s.sort), input.RecordBytes, s.tight))
	}
}

func (p *plan) groups(s sizes, seed uint64) {
	of := func(rows int64, keys string) cell {
		return cell{
			id: fmt.Sprintf("groupby-%d-%s", rows, keys), title: fmt.Sprintf("%s rows, %s", report.Count(rows), keyNames(keys)),
			unit: "rows", bytes: rows * input.GroupBytes, work: side.Work{Kind: side.GroupBy, Memory: s.memory},
			make: func(ctx context.Context, dir string) (input.Input, error) {
				return input.MakeGroups(ctx, dir, rows, keys, seed)
			},
		}
	}
	line(p, side.GroupBy, "Cost of a MiB of rows whose keys are all different, by how many there are", "rows", s.rows,
		func(rows int64) cell { return of(rows, input.Distinct) }, byCount)
	for _, keys := range s.keys {
		p.add(of(s.keyRows, keys))
	}
}

func keyNames(keys string) string {
	switch keys {
	case input.Distinct:
		return "all keys different"
	case input.Hundred:
		return "each key a hundred times"
	case input.One:
		return "one key"
	}
	return "keys by " + keys
}

// chosen leaves the cells and sides that only lists: kinds of work, or a kind
// and a side. If it lists none everything is left.
func (p plan) chosen(only []string) (plan, error) {
	if len(only) == 0 {
		return p, nil
	}
	known := map[string]bool{}
	for _, s := range side.All() {
		known[s.Kind], known[s.Kind+"/"+s.Name] = true, true
	}
	for _, o := range only {
		if !known[o] {
			return p, fmt.Errorf("peers: -only %q: want a kind of work, as in sort, or a kind and a side, as in tasks/river", o)
		}
	}
	var q plan
	for _, c := range p.cells {
		for _, s := range side.Of(c.work.Kind) {
			if !slices.Contains(only, s.Kind) && !slices.Contains(only, s.Kind+"/"+s.Name) && !slices.Contains(c.without, s.Name) {
				c.without = append(c.without, s.Name)
			}
		}
		if len(c.without) < len(side.Of(c.work.Kind)) {
			q.cells = append(q.cells, c)
		}
	}
	for _, s := range p.series {
		if slices.ContainsFunc(q.cells, func(c cell) bool { return c.id == s.At[0].Cell }) {
			q.series = append(q.series, s)
		}
	}
	return q, nil
}
