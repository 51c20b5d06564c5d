package node

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// follower follows the lines of one run: what came to each server since it was
// asked first. Lines that several servers tell of it passes on once.
type follower struct {
	run   *Run
	q     job.LogQuery
	each  func(*job.LogLine) bool
	seen  seenLines
	floor *job.LogLine // nil, or the first of the lines that it began with, if there are any before

	came chan []job.LogLine
	wg   sync.WaitGroup

	mu    sync.Mutex
	marks map[string]wire.LogMark // how far each server's are, by ID; guarded by mu
	anew  map[string]bool         // servers that began with all they have; guarded by mu
}

// errEnough says that the caller wants no more.
var errEnough = errors.New("node: the caller has had enough")

func (r *Run) followLogs(ctx context.Context, q job.LogQuery, each func(*job.LogLine) bool) error {
	f := &follower{run: r, q: q, each: each, seen: seenLines{}, came: make(chan []job.LogLine), marks: map[string]wire.LogMark{}, anew: map[string]bool{}}
	f.q.Limit = 0
	err := f.begin(ctx, q.Limit)
	if err == nil {
		err = f.goOn(ctx)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// begin passes on the lines that there are.
func (f *follower) begin(ctx context.Context, last int) error {
	n := f.run.n
	err := n.askServers(ctx, func(ctx context.Context, id string) (func(), error) {
		m, err := ask[wire.LogMark](ctx, n, id, wire.MethodLogMark, wire.RunRef{Run: f.run.id})
		return func() { f.setMark(id, m) }, err
	})
	if err != nil {
		return err
	}
	q, enough := f.q, false
	if last == 0 {
		err := f.run.pages(ctx, q, func(l *job.LogLine) bool {
			enough = !f.pass(l)
			return !enough
		})
		return orEnough(err, enough)
	}
	var tail []job.LogLine
	q.Backward, q.Limit = true, last
	if err := f.run.pages(ctx, q, func(l *job.LogLine) bool { tail = append(tail, *l); return true }); err != nil {
		return err
	}
	slices.Reverse(tail)
	if len(tail) == last {
		f.floor = &tail[0]
	}
	return f.passAll(tail)
}

func orEnough(err error, enough bool) error {
	if err == nil && enough {
		return errEnough
	}
	return err
}

// pass passes on a line that was not there before.
func (f *follower) pass(l *job.LogLine) bool {
	return !f.seen.add(l) || f.each(l)
}

// passAll passes on lines in order.
func (f *follower) passAll(lines []job.LogLine) error {
	slices.SortFunc(lines, func(a, b job.LogLine) int { return a.Compare(&b) })
	for i := range lines {
		if !f.pass(&lines[i]) {
			return errEnough
		}
	}
	return nil
}

func (f *follower) setMark(id string, m wire.LogMark) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.marks[id] = m
}

func (f *follower) mark(id string) wire.LogMark {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.marks[id]
}

// isAnew reports whether a server began, now or before, with all it has.
func (f *follower) isAnew(id string, now bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now {
		f.anew[id] = true
	}
	return f.anew[id]
}

// lookEvery is how often a follower looks for servers that it does not hear.
const lookEvery = time.Second

// goOn passes on lines as they come, until the run is over and all are there.
func (f *follower) goOn(ctx context.Context) error {
	n := f.run.n
	hearing, stop := context.WithCancel(ctx)
	defer f.wg.Wait()
	defer stop()
	over := make(chan error, 1)
	f.wg.Go(func() {
		_, err := n.ends.await(hearing, f.run.id)
		over <- err
	})
	heard := map[string]bool{}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		for _, m := range n.servers() {
			if !heard[m.ID] {
				heard[m.ID] = true
				f.wg.Go(func() { f.hear(hearing, m.ID) })
			}
		}
		select {
		case lines := <-f.came:
			if err := f.passAll(lines); err != nil {
				return err
			}
		case <-look.C:
		case err := <-over:
			stop()
			f.wg.Wait()
			if err != nil {
				return err
			}
			n.flushAll(ctx)
			return f.rest(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hear passes what comes to a server to goOn.
func (f *follower) hear(ctx context.Context, id string) {
	for ctx.Err() == nil {
		lines, at, _, err := f.arrived(ctx, id, maxLogWait)
		if err != nil {
			pause(ctx, lookEvery/2)
			continue
		}
		if len(lines) > 0 {
			select {
			case f.came <- lines:
			case <-ctx.Done():
				return
			}
		}
		f.setMark(id, at)
	}
}

// rest passes on what has come since.
func (f *follower) rest(ctx context.Context) error {
	var all []job.LogLine
	err := f.run.n.askServers(ctx, func(ctx context.Context, id string) (func(), error) {
		var came []job.LogLine
		for {
			lines, at, more, err := f.arrived(ctx, id, 0)
			if err != nil {
				return nil, err
			}
			f.setMark(id, at)
			came = append(came, lines...)
			if !more {
				return func() { all = append(all, came...) }, nil
			}
		}
	})
	if err != nil {
		return err
	}
	return f.passAll(all)
}

// arrived asks a server for what has come since its mark.
func (f *follower) arrived(ctx context.Context, id string, wait time.Duration) ([]job.LogLine, wire.LogMark, bool, error) {
	mark := f.mark(id)
	ctx, cancel := context.WithTimeout(ctx, wait+logAnswer)
	defer cancel()
	a, err := ask[wire.LogArrived](ctx, f.run.n, id, wire.MethodLogArrived, wire.LogArrivedRef{Run: f.run.id, Query: f.q, At: mark, Wait: wait})
	if err != nil {
		return nil, mark, false, err
	}
	lines, err := unpacked(f.run.id, a.Lines)
	if f.isAnew(id, a.At.Life != mark.Life) && f.floor != nil { // there are lines that were left out at first
		lines = slices.DeleteFunc(lines, func(l job.LogLine) bool { return l.Compare(f.floor) < 0 })
	}
	return lines, a.At, a.More, err
}

// seenLines tells lines that were there before from others.
type seenLines map[writer][]span

// writer is what numbers lines.
type writer struct {
	node    string
	task    job.TaskID
	epoch   uint64
	attempt int
}

// span is the numbers from one to another.
type span struct{ from, to uint64 }

// add reports whether a line was not there before.
func (s seenLines) add(l *job.LogLine) bool {
	w, seq := writer{l.Node, l.Task, l.Epoch, l.Attempt}, l.Seq
	if l.Attempt == 0 { // a node's own, which it may number again in another life
		seq = uint64(l.Time.UnixNano())
	}
	spans := s[w]
	i := len(spans)
	for i > 0 && spans[i-1].from > seq {
		i--
	}
	if i > 0 && seq <= spans[i-1].to {
		return false
	}
	before, after := i > 0 && spans[i-1].to+1 == seq, i < len(spans) && spans[i].from == seq+1
	switch {
	case before && after:
		spans[i-1].to = spans[i].to
		spans = slices.Delete(spans, i, i+1)
	case before:
		spans[i-1].to = seq
	case after:
		spans[i].from = seq
	default:
		spans = slices.Insert(spans, i, span{seq, seq})
	}
	s[w] = spans
	return true
}
