package state

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/musterhq/muster/pkg/job"
)

// The state has to look as if there were one copy of it and one client at a
// time, whatever happens to the servers. What clients saw is put in an order
// that explains it; that there is none is the failure.

// asked is what a client asked of one run.
type asked struct {
	what   string
	run    job.RunID
	epoch  uint64
	reason string
	who    string // the master, or what the run is of
}

// saw is what it was told.
type saw struct {
	err  error // nil, a refusal, or errLost
	seen seen
}

// seen is a run as the model has it.
type seen struct {
	exists bool
	of     string
	master string
	epoch  uint64
	state  job.State
	cancel string
}

var errLost = errors.New("the answer was lost")

// obey returns what there is after q, and what is said of it.
func (now seen) obey(q asked) (next seen, told saw) {
	next = now
	switch {
	case q.what == "create" && now.exists && now.of != q.who:
		return now, saw{err: ErrExists}
	case q.what == "create" && now.exists:
		return now, saw{seen: now}
	case q.what == "create":
		next = seen{exists: true, of: q.who, master: "m", epoch: 1, state: job.Running}
		return next, saw{seen: next}
	case !now.exists:
		return now, saw{err: ErrNoRun}
	}
	switch q.what {
	case "assign":
		switch {
		case now.state.Done():
			return now, saw{err: ErrFinal}
		case now.epoch == q.epoch+1 && now.master == q.who:
			return now, saw{seen: now}
		case now.epoch != q.epoch:
			return now, saw{err: ErrFenced}
		}
		next.epoch++
		next.master = q.who
		return next, saw{seen: next}
	case "cancel":
		if !now.state.Done() && now.cancel == "" {
			next.cancel = q.reason
		}
		return next, saw{seen: next}
	case "finish":
		state := job.Succeeded
		if now.cancel != "" {
			state = job.Canceled
		}
		switch {
		case now.epoch != q.epoch:
			return now, saw{err: ErrFenced}
		case now.state.Done() && now.state != state:
			return now, saw{err: ErrFinal}
		}
		next.state = state
		return next, saw{}
	}
	return now, saw{seen: now} // it was read
}

var oneCopy = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		at := map[job.RunID]int{}
		for _, op := range history {
			id := op.Input.(asked).run
			i, ok := at[id]
			if !ok {
				i = len(parts)
				at[id], parts = i, append(parts, nil)
			}
			parts[i] = append(parts[i], op)
		}
		return parts
	},
	Init: func() any { return seen{} },
	Step: func(state, in, out any) (bool, any) {
		next, told := state.(seen).obey(in.(asked))
		got := out.(saw)
		if errors.Is(got.err, errLost) {
			return true, next
		}
		return got == told, next
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// ask asks a server, and makes of the answer what the model knows.
func (s *server) ask(ctx context.Context, q asked) (told saw, recorded bool) {
	var run job.Run
	var err error
	switch q.what {
	case "create":
		run, err = s.Create(ctx, job.Run{ID: q.run, Master: "m", Extra: map[string]string{"of": q.who}}, nil)
	case "assign":
		run, err = s.Assign(ctx, q.run, q.epoch, q.who, "")
	case "cancel":
		run, err = s.Cancel(ctx, q.run, q.reason)
	case "finish":
		err = s.Finish(ctx, q.run, q.epoch, job.Succeeded, "", job.Progress{})
	case "read":
		err = s.Read(ctx, func() (err error) { run, err = s.Run(q.run); return err })
		// What was not confirmed is as if it was not asked. That there is no
		// run has to be confirmed too.
		if errors.Is(err, ErrNoRun) {
			err = s.Read(ctx, func() error {
				_, err := s.Run(q.run)
				if errors.Is(err, ErrNoRun) {
					return nil
				}
				return ErrUnavailable
			})
			if err == nil {
				return saw{err: ErrNoRun}, true
			}
		}
		if err != nil {
			return saw{}, false
		}
	}
	for _, refusal := range []error{ErrExists, ErrNoRun, ErrFinal, ErrFenced} {
		if errors.Is(err, refusal) {
			return saw{err: refusal}, true
		}
	}
	switch {
	case err == nil && run.ID == "":
		return saw{}, true
	case err == nil:
		return saw{seen: seen{true, run.Extra["of"], run.Master, run.Epoch, run.State, run.CancelReason}}, true
	case errors.Is(err, ErrUncertain):
		return saw{err: errLost}, true
	case errors.Is(err, ErrNotLeader), errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed), ctx.Err() != nil:
		return saw{}, false // nothing was recorded
	}
	return saw{err: err}, true // what the model does not know fails the test
}

// client asks whoever leads, as far as it knows, until ctx ends.
func (c *servers) client(ctx context.Context, number int, chance *rand.Rand, clock *atomic.Int64) (history []porcupine.Operation) {
	ids := []string{"a", "b", "c"}
	at := ids[chance.IntN(3)]
	for n := 0; ctx.Err() == nil; n++ {
		rest(time.Duration(chance.IntN(60)) * time.Millisecond)
		s := c.get(at)
		if s == nil || s.Leader() != at && chance.IntN(10) > 0 {
			if at = ids[chance.IntN(3)]; s != nil && s.Leader() != "" {
				at = s.Leader()
			}
			continue
		}
		q := asked{
			what:   []string{"create", "assign", "cancel", "finish", "read", "read"}[chance.IntN(6)],
			run:    job.RunID(fmt.Sprintf("d/j@%d", int(clock.Load()/40)-chance.IntN(2))),
			epoch:  uint64(1 + chance.IntN(3)),
			reason: fmt.Sprintf("%d/%d", number, n),
			who:    []string{"x", "y"}[chance.IntN(2)],
		}
		opCtx, cancel := context.WithTimeout(ctx, 3*time.Second)
		begin := clock.Add(1)
		told, recorded := s.ask(opCtx, q)
		cancel()
		if !recorded {
			continue
		}
		end := clock.Add(1)
		if errors.Is(told.err, errLost) {
			end = math.MaxInt64
		}
		history = append(history, porcupine.Operation{ClientId: number, Input: q, Call: begin, Output: told, Return: end})
	}
	return history
}

// disturb does something to the servers, now and then, until ctx ends.
func (c *servers) disturb(ctx context.Context, chance *rand.Rand) {
	ids := []string{"a", "b", "c"}
	for ctx.Err() == nil {
		rest(time.Duration(200+chance.IntN(1200)) * time.Millisecond)
		id, other := ids[chance.IntN(3)], ids[chance.IntN(3)]
		leader := id
		for _, id := range ids {
			if s := c.get(id); s != nil && s.Status().Leader == id {
				leader = id
			}
		}
		switch chance.IntN(8) {
		case 0:
			c.kill(id)
			rest(time.Duration(chance.IntN(1500)) * time.Millisecond)
			c.start(id)
		case 1:
			c.kill(leader)
			c.start(leader)
		case 2:
			c.stop(leader)
			c.start(leader)
		case 3:
			c.net.Isolate(leader)
		case 4:
			c.net.Cut(id, other)
		case 5:
			c.net.CutOneWay(leader, other)
		case 6:
			_ = c.get(leader).Transfer(ctx) // it may not lead any more
		case 7:
			c.net.Slow(id, other, time.Duration(chance.IntN(80))*time.Millisecond, 20*time.Millisecond)
		}
		if chance.IntN(2) == 0 {
			c.net.Heal()
		}
	}
}

func TestControlPlaneIsLinearizable(t *testing.T) {
	seeds := []uint64{1, rand.Uint64()}
	if testing.Short() {
		seeds = seeds[1:]
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { linearizable(t, seed, 12*time.Second) })
	}
}

// linearizable checks what clients see while servers are killed, cut off and
// restarted for so long, and that all have the same state when they are back.
func linearizable(t *testing.T, seed uint64, long time.Duration) {
	var history []porcupine.Operation
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		c.leader()
		ctx, cancel := context.WithTimeout(t.Context(), long)
		defer cancel()
		var mu sync.Mutex
		var wg sync.WaitGroup
		var clock atomic.Int64
		clock.Store(40)
		for i := range 5 {
			wg.Go(func() {
				h := c.client(ctx, i, rand.New(rand.NewPCG(seed, uint64(1+i))), &clock)
				mu.Lock()
				defer mu.Unlock()
				history = append(history, h...)
			})
		}
		c.disturb(ctx, rand.New(rand.NewPCG(seed, 0)))
		wg.Wait()
		c.net.Heal()
		var s *server
		for err := ErrUnavailable; err != nil; { // it may be handing over still
			rest(100 * time.Millisecond)
			s = c.leader()
			_, err = s.PutJob(t.Context(), job.Spec{Processor: "after"}, nil, time.Time{}, 0)
		}
		c.same(s)
	})
	lost := 0
	for _, op := range history {
		if errors.Is(op.Output.(saw).err, errLost) {
			lost++
		}
	}
	t.Logf("%d answers, %d of them lost", len(history), lost)
	if len(history) < 50 {
		t.Errorf("got %d answers: that shows nothing", len(history))
	}
	if got := porcupine.CheckOperationsTimeout(oneCopy, history, time.Minute); got != porcupine.Ok {
		t.Fatalf("seed %d: got %v: no order explains what clients saw", seed, got)
	}
}

// The check is worth something only if it finds what is wrong.
func TestStaleAnswerIsFoundOut(t *testing.T) {
	op := func(what string, call, end int64, told saw) porcupine.Operation {
		return porcupine.Operation{Input: asked{what: what, run: "d/j@1", epoch: 1, reason: "r"}, Call: call, Output: told, Return: end}
	}
	fresh := seen{exists: true, master: "m", epoch: 1, state: job.Running}
	assigned := fresh
	assigned.epoch, assigned.master = 2, ""
	history := []porcupine.Operation{
		op("create", 1, 2, saw{seen: fresh}), op("assign", 3, 4, saw{seen: assigned}), op("read", 5, 6, saw{seen: fresh}),
	}
	if porcupine.CheckOperations(oneCopy, history) {
		t.Error("a stale read is taken for right")
	}
	history[2].Output = saw{seen: assigned}
	if !porcupine.CheckOperations(oneCopy, history) {
		t.Error("a right history is taken for wrong")
	}
	history = append(history[:2], op("finish", 5, math.MaxInt64, saw{err: errLost}), op("finish", 6, 7, saw{}))
	if porcupine.CheckOperations(oneCopy, history) {
		t.Error("a zombie finished a run")
	}
}
