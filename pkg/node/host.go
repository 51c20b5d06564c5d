package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/internal/worker"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// host is the worker's way out: to the masters of the runs it works on.
type host struct {
	n *Node

	mu      sync.Mutex
	masters map[job.RunID]masterRef // of the runs worked on, but for small ones: these have their bundle with the worker; guarded by mu
	bundles map[string]*bundle      // by master; guarded by mu
}

type masterRef struct {
	node  string
	epoch uint64
}

func newHost(n *Node) *host {
	return &host{n: n, masters: map[job.RunID]masterRef{}, bundles: map[string]*bundle{}}
}

// follow notes who conducts a run.
func (h *host) follow(run *job.Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if run.Epoch >= h.masters[run.ID].epoch {
		h.masters[run.ID] = masterRef{run.Master, run.Epoch}
	}
}

// forget drops what this node knows of runs that are over.
func (h *host) forget(runs ...job.RunID) {
	h.n.worker.Forget(runs...)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, run := range runs {
		delete(h.masters, run)
	}
}

// master returns who conducts the run in the epoch, or false if that is over.
func (h *host) master(run job.RunID, epoch uint64) (string, bool) {
	h.mu.Lock()
	m := h.masters[run]
	h.mu.Unlock()
	if m.epoch > 0 {
		return m.node, m.epoch == epoch
	}
	b, small := h.n.worker.Via(run, epoch).(*bundle)
	if !small {
		return "", false
	}
	return b.to, true
}

// epoch returns the latest epoch of a run that this node has heard of, unless it is
// a small one.
func (h *host) epoch(run job.RunID) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.masters[run].epoch
}

// maxReport bounds the outcomes in one message.
const maxReport = 1 << 20

// Report tells the master how attempts ended: together with others if the run is a
// small one.
func (h *host) Report(r *worker.Report) {
	if b, small := r.Via.(*bundle); !small || !b.take(r) {
		h.reportAlone(r)
	}
}

// reportAlone is Report in messages about one run. It does not give up while the
// master may be waiting for them.
func (h *host) reportAlone(r *worker.Report) {
	h.n.wg.Go(func() {
		defer r.Done()
		for outcomes := r.Outcomes(); len(outcomes) > 0; {
			var n int // in the message
			err := h.deliver(h.n.ctx, r.Run, r.Epoch, wire.MethodReport, func(to string) any {
				m := wire.Report{Run: r.Run, Epoch: r.Epoch, Window: h.n.worker.Window(r.Run)}
				if n = len(outcomes); to == h.n.id && allPlain(outcomes) {
					m.Given = outcomes
				} else {
					m.Outcomes, n = h.pack(r.Run, outcomes)
					m.N = n
				}
				return m
			})
			if err != nil {
				h.n.log.Info("outcomes count for nothing", telemetry.Run(r.Run), slog.Int("outcomes", n), telemetry.Err(err))
				return
			}
			outcomes = outcomes[n:]
		}
	})
}

// allPlain reports whether all outcomes are successes that can be recorded whatever
// they say, of which nothing changes on the way.
func allPlain(outcomes []job.Outcome) bool {
	for i := range outcomes {
		if o := &outcomes[i]; o.Failure != nil || len(o.Files) > 0 || len(o.Result) > wire.MaxPayload {
			return false
		}
	}
	return true
}

// pack returns the first outcomes as bytes, as many as one message is to hold, and
// how many they are.
func (h *host) pack(run job.RunID, outcomes []job.Outcome) (blob []byte, n int) {
	blob = make([]byte, 0, min(wire.RoomFor(outcomes), maxReport))
	for ; n < len(outcomes) && len(blob) < maxReport; n++ {
		b, err := wire.AppendOutcome(blob, &outcomes[n])
		if err != nil {
			h.n.log.Error("outcome can't be reported", telemetry.Run(run), telemetry.Task(outcomes[n].Task), telemetry.Err(err))
			continue
		}
		blob = b
	}
	return blob, n
}

// unanswered is after how many tries in vain, within about two seconds, a
// worker asks the leader whether the master is still to be told: it may be gone
// for good, and the run over before this node heard of another.
const unanswered = 7

// deliver calls a method of the run's master until it is answered or nobody
// waits for it any more.
func (h *host) deliver(ctx context.Context, run job.RunID, epoch uint64, method string, message func(to string) any) error {
	wait := 20 * time.Millisecond
	for tries := 1; ; tries++ {
		to, ok := h.master(run, epoch)
		if !ok {
			return state.ErrFenced
		}
		_, err := call[wire.Nothing](ctx, h.n, to, method, message(to))
		switch {
		case err == nil, is(err, errRefused), is(err, state.ErrFenced):
			return err
		case (is(err, errNoMaster) || tries >= unanswered) && h.over(run, epoch):
			return state.ErrFenced
		}
		h.n.log.Debug("the master of the run does not answer", telemetry.Run(run), slog.String("method", method), telemetry.Err(err))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// over reports whether the state says that the run has ended or gone to
// another master.
func (h *host) over(id job.RunID, epoch uint64) bool {
	ctx, cancel := context.WithTimeout(h.n.ctx, describeTimeout)
	defer cancel()
	run, err := lead[job.Run](ctx, h.n, wire.MethodRun, wire.RunRef{Run: id})
	if is(err, state.ErrNoRun) {
		return true
	}
	return err == nil && (run.State.Done() || run.Epoch > epoch)
}

// Emit hands over a chunk of subtasks.
func (h *host) Emit(ctx context.Context, a job.AttemptID, seq int, tasks []job.Subtask) error {
	var w wire.ChunkWriter
	if err := w.AddAll(tasks); err != nil {
		return mapreduce.Permanent(err)
	}
	return h.stage(ctx, a, seq, wire.EntryTasks, w.N, w.Bytes())
}

// Output hands over a chunk of pairs.
func (h *host) Output(ctx context.Context, a job.AttemptID, seq int, pairs []byte, n int) error {
	if len(pairs) > maxOutput {
		return mapreduce.Permanent(fmt.Errorf("node: a pair of %d bytes is over the limit of %d for output that is returned: write it to a file, with job.Output", len(pairs), maxOutput))
	}
	return h.stage(ctx, a, seq, wire.EntryPairs, n, pairs)
}

const maxOutput = 2 << 20

func (h *host) stage(ctx context.Context, a job.AttemptID, index int, kind wire.EntryKind, n int, blob []byte) error {
	err := h.deliver(ctx, a.Run, a.Epoch, wire.MethodStage, func(string) any {
		return wire.Staged{Run: a.Run, Epoch: a.Epoch, Task: a.Task, Attempt: a.N, Index: index, Kind: kind, N: n, Blob: blob}
	})
	if is(err, errRefused) {
		return mapreduce.Permanent(plain(err))
	}
	return err
}

// Results yields how the map tasks of a run ended, for a reduce over them.
func (h *host) Results(ctx context.Context, run job.RunID) iter.Seq2[mapreduce.Result, error] {
	return func(yield func(mapreduce.Result, error) bool) {
		var seen numbers
		for e, err := range h.n.journal(ctx, &job.Run{ID: run, Epoch: h.epoch(run)}, wire.EntryOutcomes) {
			if err != nil {
				yield(mapreduce.Result{}, err)
				return
			}
			for o, err := range wire.Outcomes(e.Blob) {
				if err != nil {
					yield(mapreduce.Result{}, err)
					return
				}
				if o.Task.Kind != job.KindMap || !final(&o) || o.Task.N >= job.MaxTasks || !seen.add(o.Task.N) {
					continue
				}
				if !yield(result(&o), nil) {
					return
				}
			}
		}
	}
}

// numbers is a set of task numbers, a bit for each.
type numbers []uint64

// add reports whether n was not there yet.
func (s *numbers) add(n int) bool {
	if grow := n/64 + 1 - len(*s); grow > 0 {
		*s = append(*s, make([]uint64, grow)...)
	}
	word, bit := &(*s)[n/64], uint64(1)<<(n%64)
	is := *word&bit == 0
	*word |= bit
	return is
}

func result(o *job.Outcome) mapreduce.Result {
	reason := ""
	if o.Failure != nil {
		reason = o.Failure.Reason
	}
	return mapreduce.NewResult(o.Task.N, o.Result, reason)
}

// final reports whether o is how its task ended, and not only an attempt.
func final(o *job.Outcome) bool { return o.Failure == nil || o.Failure.Permanent }

// serveWorker answers the masters of runs.
func (n *Node) serveWorker(h *host) {
	share(n, wire.MethodExecute, h.execute)
	share(n, wire.MethodDispatch, func(_ context.Context, _ string, d wire.Dispatch) (wire.Dispatched, error) {
		tasks, err := wire.Tasks(d.N, d.Tasks)
		if err != nil {
			return wire.Dispatched{}, err
		}
		for i := range tasks {
			if t := &tasks[i]; t.ID.Kind == job.KindMap && t.ID.N < d.Run.Plan.Roots {
				t.Shard = job.Shard{Index: t.ID.N, Total: d.Run.Plan.Roots}
			}
		}
		d.Run.Extra = maps.Clone(d.Run.Extra) // the user's code gets it, and what is before
		b := job.Batch{Run: &d.Run, Tasks: tasks, Lost: d.Lost, Before: bytes.Clone(d.Before)}
		for _, s := range d.Sources {
			b.Sources = append(b.Sources, job.Source{Node: s.Node, Maps: s.Maps})
		}
		h.follow(&d.Run)
		var resp wire.Dispatched
		for _, o := range n.worker.Take(b) {
			if resp.Refused, err = wire.AppendOutcome(resp.Refused, &o); err != nil {
				return resp, err
			}
		}
		resp.Window = n.worker.Window(d.Run.ID)
		return resp, nil
	})
	handle(n, wire.MethodRecall, func(_ context.Context, _ string, r wire.Recall) (wire.Nothing, error) {
		n.worker.Cancel(r.Run, r.Epoch, r.Tasks, errors.New(r.Reason))
		return wire.Nothing{}, nil
	})
	handle(n, wire.MethodForget, func(_ context.Context, _ string, r wire.RunRef) (wire.Nothing, error) {
		h.forget(r.Run)
		return wire.Nothing{}, nil
	})
}
