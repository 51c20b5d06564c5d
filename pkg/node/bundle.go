package node

import (
	"context"
	"maps"
	"sync"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/internal/worker"
	"github.com/musterhq/muster/pkg/job"
)

// bundle is what goes from a worker to one master about small runs: in a few
// messages at a time, each with all that has accumulated.
type bundle struct {
	h  *host
	to string

	mu      sync.Mutex
	next    []parcel // guarded by mu
	size    int      // how many the last message had; guarded by mu
	sending int      // messages under way; guarded by mu
	bytes   int      // of reports in those; guarded by mu
}

// parcel is a report of the worker, and what is sent of it.
type parcel struct {
	of     *worker.Report
	report wire.Report
}

// bundlesAtOnce is how many messages to a master may be under way. Each is
// answered when what it says is on disk. Full ones may be more, as long as all have
// less than bundledBytes, so that what is due is not kept from being executed until
// what was before it has been recorded.
const (
	bundlesAtOnce = 4
	bundledBytes  = 32 << 20
)

// aboutReport is how many bytes a report takes beyond its outcomes.
const aboutReport = 96

// bundle returns the one for a master.
func (h *host) bundle(to string) *bundle {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.bundles[to]
	if b == nil {
		b = &bundle{h: h, to: to}
		h.bundles[to] = b
	}
	return b
}

// take tells the master how the attempt at a small run's task ended. It reports
// false if that takes more than one try.
func (b *bundle) take(r *worker.Report) bool {
	outcomes := r.Outcomes()
	if len(outcomes) != 1 {
		return false
	}
	blob, err := wire.AppendOutcome(nil, &outcomes[0])
	if err != nil || len(blob) > maxReport {
		return false
	}
	p := parcel{r, wire.Report{Run: r.Run, Epoch: r.Epoch, Window: r.Window, Outcomes: blob}}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make([]parcel, 0, max(b.size, 1))
	}
	b.next = append(b.next, p)
	full := len(b.next) >= maxTogether && b.bytes < bundledBytes
	if b.sending < bundlesAtOnce || full {
		b.sending++
		group, bytes := b.groupLocked()
		b.h.n.wg.Go(func() { b.send(group, bytes) })
	}
	return true
}

// send sends some, and then what there is, as long as there is any.
func (b *bundle) send(group []parcel, bytes int) {
	for len(group) > 0 {
		m := wire.Reports{Reports: make([]wire.Report, len(group)), Window: b.h.n.worker.Credit()}
		for i := range group {
			m.Reports[i] = group[i].report
		}
		settled, err := call[wire.Settled](b.h.n.ctx, b.h.n, b.to, wire.MethodReports, m)
		if err != nil {
			b.h.n.log.Debug("the master of small runs does not answer", telemetry.Member(b.to), telemetry.Err(err))
		}
		b.settled(group, settled.Fates)
		b.mu.Lock()
		b.bytes -= bytes
		if group, bytes = b.groupLocked(); len(group) == 0 {
			b.sending--
		}
		b.mu.Unlock()
	}
}

// groupLocked takes off what the next message is to hold, and returns about how many
// bytes that is.
func (b *bundle) groupLocked() (group []parcel, bytes int) {
	n := 0
	for ; n < min(len(b.next), maxTogether); n++ {
		more := aboutReport + len(b.next[n].report.Outcomes)
		if n > 0 && bytes+more > maxReport {
			break
		}
		bytes += more
	}
	b.bytes += bytes
	group = b.next[:n:n]
	b.size = max(n, b.size/2)
	if b.next = b.next[n:]; len(b.next) == 0 {
		b.next = nil
	}
	return group, bytes
}

// settled does what the fates of reports want. One that the master did not tell
// is unknown.
func (b *bundle) settled(group []parcel, fates []wire.Fate) {
	over := make([]job.RunID, 0, len(group))
	for i := range group {
		fate := wire.FateUnknown
		if i < len(fates) {
			fate = fates[i]
		}
		switch of := group[i].of; {
		case fate == wire.FateOver:
			over = append(over, of.Run)
		case fate == wire.FateUnknown && b.h.n.ctx.Err() == nil:
			b.h.reportAlone(of)
		default: // or nobody can be told any more
			of.Done()
		}
	}
	b.h.n.worker.Forget(over...)
}

// execute takes the tasks of small runs, whose master sends them.
func (h *host) execute(_ context.Context, from string, e wire.Execute) (wire.Executing, error) {
	batches, tasks := make([]job.Batch, len(e.Runs)), make([]job.Task, len(e.Runs))
	for i, run := range e.Runs {
		if len(run.Extra) > 0 { // the user's code gets it
			run = new(*run)
			run.Extra = maps.Clone(run.Extra)
		}
		tasks[i] = job.Task{ID: job.TaskID{Kind: job.KindMap}, Attempt: 1, Shard: job.Shard{Total: run.Plan.Roots}}
		batches[i] = job.Batch{Run: run, Tasks: tasks[i : i+1 : i+1]}
	}
	refused := h.n.worker.TakeAll(batches, h.bundle(from))
	return wire.Executing{Refused: refused, Window: h.n.worker.Credit()}, nil
}
