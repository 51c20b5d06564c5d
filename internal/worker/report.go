package worker

import (
	"sync"

	"github.com/musterhq/muster/pkg/job"
)

// Report is how attempts at tasks of a run ended, on its way to the master of the
// run in the epoch. Who has it says when it is Done.
type Report struct {
	Run    job.RunID
	Epoch  uint64
	Window int // as the worker's Window returns it
	Via    any // as the host gave it to TakeAll

	w        *Worker
	of       *run
	once     sync.Once
	outcomes []job.Outcome
}

// What one report may hold. The next waits until it is durable, so a run gets no
// more done here than that in the time of a sync.
const (
	maxOutcomes    = 4096
	maxReportBytes = 512 << 10
)

// ended puts o among what r has to report.
func (r *run) ended(o job.Outcome) {
	if r.over {
		return
	}
	if r.unreported == nil { // with room for what is likely to come before the next report
		r.unreported = make([]job.Outcome, 0, max(r.sizes, min(1+r.queued+len(r.active), 16)))
	}
	r.unreported = append(r.unreported, o)
	r.backlog += int64(len(o.Result))
}

// reportLocked returns the next report of r, to be handed on when mu is free, or
// nil if there is none for now.
func (w *Worker) reportLocked(r *run) *Report {
	if r.sent != nil || len(r.unreported) == 0 {
		return nil
	}
	w.errands++
	if r.sent = &r.room.report; r.sent.of != nil { // there was a first
		r.sent = new(Report)
	}
	*r.sent = Report{Run: r.id, Epoch: r.epoch, Window: w.windowLocked(r), Via: r.via, w: w, of: r}
	return r.sent
}

// Outcomes returns how the attempts ended: all that has accumulated when it is
// called first, so that it is best called when the report is about to be sent.
// There are none if nobody wants to hear of them any more.
func (p *Report) Outcomes() []job.Outcome {
	p.once.Do(func() {
		w, r, hire := p.w, p.of, 0
		w.mu.Lock()
		if r.sent == p {
			p.outcomes = r.nextOutcomes()
			w.ready.push(r) // which a backlog may have kept out
			hire = w.hireLocked(r.startable())
		}
		w.mu.Unlock()
		w.hire(hire)
	})
	return p.outcomes
}

// handOn gives reports to the host. Those that are nil are none.
func (w *Worker) handOn(reports ...*Report) {
	for _, p := range reports {
		if p != nil {
			w.host.Report(p)
		}
	}
}

// Done tells the worker that the outcomes are safe, or that nobody wants to hear
// of them: their tasks may come again. If there are more by now, the host has the
// next report before Done returns. Of a run that was forgotten, or has another
// master, Done says nothing new.
func (p *Report) Done() {
	w, r := p.w, p.of
	w.mu.Lock()
	if r.sent != p {
		w.mu.Unlock()
		return
	}
	for i := range p.outcomes {
		r.taken.remove(p.outcomes[i].Task, p.outcomes[i].Attempt)
	}
	w.unsentLocked(r)
	next := w.reportLocked(r)
	w.quietLocked()
	w.mu.Unlock()
	w.handOn(next)
}

// unsentLocked notes that nobody waits for the report of r that is under way.
func (w *Worker) unsentLocked(r *run) {
	if r.sent != nil {
		r.sent = nil
		w.errands--
	}
}

// nextOutcomes takes off the outcomes that the next report will hold.
func (r *run) nextOutcomes() []job.Outcome {
	n, bytes := 0, int64(0)
	for n < min(len(r.unreported), maxOutcomes) {
		size := int64(len(r.unreported[n].Result))
		if f := r.unreported[n].Failure; f != nil {
			size += int64(len(f.Reason))
		}
		if n > 0 && bytes+size > maxReportBytes {
			break
		}
		bytes += size
		r.backlog -= int64(len(r.unreported[n].Result))
		n++
	}
	sent := r.unreported[:n:n]
	if r.unreported = r.unreported[n:]; len(r.unreported) == 0 {
		r.unreported = nil
	}
	r.sizes = n
	return sent
}
