package node

import (
	"context"
	"maps"
	"sync"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// bundle is what goes from a worker to one master about small runs: in a few
// messages at a time, each with all that has accumulated.
type bundle struct {
	h  *host
	to string

	mu      sync.Mutex
	next    []*parcel // guarded by mu
	sending int       // messages under way; guarded by mu
}

// parcel is one report and what it has led to.
type parcel struct {
	report wire.Report
	fate   wire.Fate
	done   chan struct{} // closed when fate is known
}

// bundlesAtOnce is how many messages to a master may be under way. Each is
// answered when what it says is on disk.
const bundlesAtOnce = 4

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

// report tells the master how the attempt at a small run's task ended, and
// returns what that has led to.
func (b *bundle) report(r wire.Report) wire.Fate {
	p := &parcel{report: r, done: make(chan struct{})}
	b.mu.Lock()
	b.next = append(b.next, p)
	if b.sending < bundlesAtOnce {
		b.sending++
		b.h.n.wg.Go(b.send)
	}
	b.mu.Unlock()
	select {
	case <-p.done:
		return p.fate
	case <-b.h.n.ctx.Done():
		return wire.FateFenced // as for Report, nobody can be told any more
	}
}

func (b *bundle) send() {
	for {
		group := b.take()
		if len(group) == 0 {
			return
		}
		m := wire.Reports{Reports: make([]wire.Report, len(group)), Window: b.h.n.worker.Credit()}
		for i, p := range group {
			m.Reports[i] = p.report
		}
		settled, err := call[wire.Settled](b.h.n.ctx, b.h.n, b.to, wire.MethodReports, m)
		if err != nil {
			b.h.n.log.Debug("the master of small runs does not answer", telemetry.Member(b.to), telemetry.Err(err))
		}
		for i, p := range group {
			if i < len(settled.Fates) {
				p.fate = settled.Fates[i]
			}
			close(p.done)
		}
	}
}

func (b *bundle) take() (group []*parcel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := 0
	for len(group) < min(len(b.next), maxTogether) {
		p := b.next[len(group)]
		if size += aboutRun + len(p.report.Outcomes); len(group) > 0 && size > maxReport {
			break
		}
		group = append(group, p)
	}
	if b.next = b.next[len(group):]; len(b.next) == 0 {
		b.next = nil
	}
	if len(group) == 0 {
		b.sending--
	}
	return group
}

// reportSmall tells the master of a small run how its attempt ended. It reports
// false if that takes more than one try.
func (h *host) reportSmall(to string, run job.RunID, epoch uint64, outcomes []job.Outcome) bool {
	if len(outcomes) != 1 {
		return false
	}
	blob, err := wire.AppendOutcome(nil, &outcomes[0])
	if err != nil || len(blob) > maxReport {
		return false
	}
	r := wire.Report{Run: run, Epoch: epoch, Window: h.n.worker.Window(run), Outcomes: blob}
	switch h.bundle(to).report(r) {
	case wire.FateOver:
		h.n.worker.Forget(run)
		h.forget(run)
	case wire.FateUnknown:
		return false
	}
	return true
}

// execute takes the tasks of small runs.
func (h *host) execute(_ context.Context, _ string, e wire.Execute) (wire.Executing, error) {
	var answer wire.Executing
	for i, run := range e.Runs {
		if len(run.Extra) > 0 { // the user's code gets it
			run = new(*run)
			run.Extra = maps.Clone(run.Extra)
		}
		h.followSmall(run)
		task := job.Task{ID: job.TaskID{Kind: job.KindMap}, Attempt: 1, Shard: job.Shard{Total: run.Plan.Roots}}
		if len(h.n.worker.Take(job.Batch{Run: run, Tasks: []job.Task{task}})) > 0 {
			answer.Refused = append(answer.Refused, i)
		}
	}
	answer.Window = h.n.worker.Credit()
	return answer, nil
}
