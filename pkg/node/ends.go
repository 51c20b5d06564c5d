package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/roll"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// ends is the runs whose end this node waits for. As long as there are any, one
// stream from the leader tells of all of them, those that ended at about the
// same time together.
type ends struct {
	n     *Node
	fresh bell // rung if runs were added

	mu      sync.Mutex
	waiting roll.Of[*waiter] // guarded by mu
	added   []job.RunID      // since the stream was told; guarded by mu
	whole   bool             // added is all that are waited for; guarded by mu
	running bool             // guarded by mu
}

// ended is how a run has ended, or why that is not known.
type ended struct {
	wire.End
	err error
}

// told reports whether e is more than nothing.
func (e *ended) told() bool { return e.Run.ID != "" || e.err != nil }

// wait is what one caller waits for: the ends of some runs. All of it is guarded
// by the mu of ends, until the caller has them or has left.
type wait struct {
	ends []ended
	left int           // how many are not known yet
	done chan struct{} // closed when all are
}

// waiter is a run that is waited for, in one of the waits that want its end.
type waiter struct {
	of   *wait
	at   int // its place there
	next *waiter
}

func newEnds(n *Node) *ends {
	return &ends{n: n, fresh: newBell()}
}

// await returns how a run has ended once it has, whoever leads meanwhile.
func (e *ends) await(ctx context.Context, id job.RunID) (wire.End, error) {
	end := e.awaitAll(ctx, []job.RunID{id})[0]
	return end.End, end.err
}

// awaitAll returns how runs have ended once all have, or why that is not known.
func (e *ends) awaitAll(ctx context.Context, ids []job.RunID) []ended {
	if len(ids) == 0 {
		return nil
	}
	w := e.add(ids)
	select {
	case <-w.done:
		return w.ends
	case <-ctx.Done():
	case <-e.n.ctx.Done():
	}
	e.leave(ids, w)
	for i := range w.ends {
		switch end := &w.ends[i]; {
		case end.told():
		case ctx.Err() != nil:
			end.err = context.Cause(ctx)
		default:
			*end = e.stopped(ids[i])
		}
	}
	return w.ends
}

func (e *ends) add(ids []job.RunID) *wait {
	w := &wait{ends: make([]ended, len(ids)), left: len(ids), done: make(chan struct{})}
	waiters := make([]waiter, len(ids))
	e.mu.Lock()
	if e.waiting.Len() == 0 {
		e.added, e.whole = nil, true
	}
	for i, id := range ids {
		waiters[i] = waiter{of: w, at: i, next: e.waiting.At(id)}
		e.waiting.Put(id, &waiters[i])
	}
	e.added = append(e.added, ids...)
	if !e.running && e.n.ctx.Err() == nil {
		e.running = true
		e.n.wg.Go(e.listen)
	}
	e.mu.Unlock()
	e.fresh.ring()
	return w
}

// stopped is what is known of a run when this node has stopped: it may have
// ended before that, while the answer was on its way.
func (e *ends) stopped(id job.RunID) ended {
	if e.n.state != nil {
		if run, err := e.n.state.Run(id); err == nil && run.State.Done() {
			return ended{End: wire.End{Run: wire.OverOf(&run)}}
		}
	}
	return ended{err: context.Cause(e.n.ctx)}
}

// leave gives up a wait.
func (e *ends) leave(ids []job.RunID, w *wait) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		var rest *waiter
		for p := e.waiting.At(id); p != nil; {
			next := p.next
			if p.of != w {
				p.next, rest = rest, p
			}
			p = next
		}
		if rest == nil {
			e.waiting.Delete(id)
		} else {
			e.waiting.Put(id, rest)
		}
	}
}

// take returns the runs that were added, or all if it is for a new stream.
func (e *ends) take(all bool) []job.RunID {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := e.added
	if all && !e.whole {
		ids = nil
		for id := range e.waiting.All() {
			ids = append(ids, id)
		}
		slices.Sort(ids) // the state reads those of a lot together
	}
	e.added, e.whole = nil, false
	return ids
}

// isIdle reports whether nobody waits, and if so that this was the last look.
func (e *ends) isIdle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = e.waiting.Len() > 0
	return !e.running
}

// tell passes on what the leader says.
func (e *ends) tell(news wire.Ends) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range news.Ends {
		e.tellLocked(news.Ends[i].Run.ID, ended{End: news.Ends[i]})
	}
	for i, id := range news.Lost {
		err := state.ErrNoRun
		if i < len(news.Unknown) && news.Unknown[i].Code != codeOf(state.ErrNoRun) {
			err = errors.New(news.Unknown[i].Text)
		}
		e.tellLocked(id, ended{err: err})
	}
}

func (e *ends) tellLocked(id job.RunID, end ended) {
	for p := e.waiting.At(id); p != nil; p = p.next {
		w := p.of
		w.ends[p.at] = end
		if w.left--; w.left == 0 {
			close(w.done)
		}
	}
	e.waiting.Delete(id)
}

// listen hears the leader, and the next one if it goes away, for as long as
// anybody waits.
func (e *ends) listen() {
	for wait := 50 * time.Millisecond; e.n.ctx.Err() == nil; {
		if e.isIdle() {
			return
		}
		began := time.Now()
		err := e.n.leaders.try(e.n.ctx, e.hear)
		if err == nil || time.Since(began) > 2*time.Second {
			wait = 50 * time.Millisecond
		}
		if err != nil {
			e.n.log.Debug("nobody tells how runs end", telemetry.Err(err))
			pause(e.n.ctx, wait)
			wait = min(2*wait, 2*time.Second)
		}
	}
}

// hear asks a leader for the ends of all runs that are waited for, until nobody
// waits any more.
func (e *ends) hear(ctx context.Context, leader string) error {
	if leader == e.n.id && e.n.server != nil {
		return e.n.server.ends(ctx, e.fresh, e.take, e.tellUntilIdle)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := e.n.transport.Open(ctx, leader, wire.MethodEnds, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	asking.Go(func() {
		for all := true; ; all = false {
			for ids := e.take(all); len(ids) > 0; {
				n := min(len(ids), maxAwaits)
				if wire.Say(s, wire.Awaits{Runs: ids[:n]}) != nil {
					return // the reader finds out why
				}
				ids = ids[n:]
			}
			select {
			case <-e.fresh:
			case <-ctx.Done():
				return
			}
		}
	})
	for r := bufio.NewReader(s); ; {
		var news wire.Ends
		if err := wire.Hear(r, &news); err != nil {
			if errors.Is(err, io.EOF) {
				err = state.ErrNotLeader // it would not have ended otherwise
			}
			return err
		}
		if e.tellUntilIdle(news) != nil {
			return nil
		}
	}
}

// maxAwaits bounds how many runs one message names.
const maxAwaits = 4096

var errIdle = errors.New("node: nobody waits")

func (e *ends) tellUntilIdle(news wire.Ends) error {
	e.tell(news)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting.Len() == 0 {
		return errIdle
	}
	return nil
}

// serveEnds tells other nodes how runs end.
func (s *server) serveEnds() {
	s.n.transport.HandleStream(wire.MethodEnds, func(ctx context.Context, _ string, _ []byte, st transport.Stream) error {
		if err := s.n.awaitReady(ctx); err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(ctx)
		var mu sync.Mutex
		var added []job.RunID
		fresh := newBell()
		var hearing sync.WaitGroup
		defer hearing.Wait()
		defer st.Close()
		defer cancel(nil)
		hearing.Go(func() {
			for r := bufio.NewReader(st); ; {
				var a wire.Awaits
				if err := wire.Hear(r, &a); err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				added = append(added, a.Runs...)
				mu.Unlock()
				fresh.ring()
			}
		})
		take := func(bool) []job.RunID {
			mu.Lock()
			defer mu.Unlock()
			ids := added
			added = nil
			return ids
		}
		return s.ends(ctx, fresh, take, func(news wire.Ends) error { return wire.Say(st, news) })
	})
}

// ends tells of the ends of the runs that take returns, first all of them and
// then those that are new when fresh says so, until ctx ends, this node leads
// no more, or tell has had enough.
func (s *server) ends(ctx context.Context, fresh <-chan struct{}, take func(all bool) []job.RunID, tell func(wire.Ends) error) error {
	l, err := s.lead()
	if err != nil {
		return err
	}
	ends := s.state.Ends()
	defer ends.Stop()
	for all := true; ; all = false {
		var news wire.Ends
		if news.Lost, err = ends.Add(take(all)...); err != nil {
			return err
		}
		if len(news.Lost) > 0 {
			for i, id := range news.Lost {
				news.Unknown = append(news.Unknown, refusal(i, fmt.Errorf("%w: %q", state.ErrNoRun, id)))
			}
			if err := tell(news); err != nil {
				return idleIsEnd(err)
			}
		}
		for over := ends.Take(); len(over) > 0; {
			var news wire.Ends
			if news, over, err = s.readEnds(over); err != nil {
				return err
			}
			if err := tell(news); err != nil {
				return idleIsEnd(err)
			}
		}
		select {
		case <-fresh:
		case <-ends.Ready():
		case <-l.ctx.Done():
			return state.ErrNotLeader
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func idleIsEnd(err error) error {
	if errors.Is(err, errIdle) {
		return nil
	}
	return err
}

const (
	// fewEntries is how many entries the journal of a run may have for its
	// outcomes to be told with its end, and fewBytes how large they may be.
	fewEntries = 8
	fewBytes   = 64 << 10
)

// readEnds reads how runs have ended, as many as one message is to hold, and
// returns those that are left.
func (s *server) readEnds(over []state.End) (news wire.Ends, left []state.End, err error) {
	news.Ends = make([]wire.End, 0, min(len(over), maxTogether))
	for i, size := 0, 0; i < len(over); i++ {
		if i == maxTogether || size > maxDispatch {
			return news, over[i:], nil
		}
		id := over[i].ID
		told, entries, err := s.state.Outcome(over[i], fewEntries)
		if is(err, state.ErrNoRun) { // it was forgotten meanwhile
			news.Lost = append(news.Lost, id)
			news.Unknown = append(news.Unknown, refusal(len(news.Lost)-1, err))
			continue
		}
		if err != nil {
			return news, nil, fmt.Errorf("node: end of run %s: %w", id, err)
		}
		end := wire.End{Run: told, Few: entries != nil}
		bytes := 0
		for _, e := range entries {
			if len(e.Data) > 0 && wire.EntryKind(e.Data[0]) == wire.EntryOutcomes {
				end.Seqs, end.Outcomes = append(end.Seqs, e.Seq), append(end.Outcomes, e.Data)
				bytes += len(e.Data)
			}
		}
		if bytes > fewBytes {
			end.Few, end.Seqs, end.Outcomes, bytes = false, nil, nil, 0
		}
		size += aboutRun + len(end.Run.Reason) + bytes
		news.Ends = append(news.Ends, end)
	}
	return news, nil, nil
}
