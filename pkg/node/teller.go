package node

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// teller makes masters begin runs. Those of one master reach it together: while
// it is told of some, those that come wait, and it is told of all of them next.
type teller struct {
	l *leader

	mu    sync.Mutex
	waits map[string][]*job.Run // by master, while it is told of others; guarded by mu
}

func newTeller(l *leader) *teller { return &teller{l: l, waits: map[string][]*job.Run{}} }

// tell has masters begin runs. They are passed on apart, so that one which lasts
// does not keep all of those that began with it.
func (t *teller) tell(runs ...job.Run) {
	all := make([]*job.Run, len(runs))
	for i := range runs {
		all[i] = new(runs[i])
	}
	t.pass(all)
}

// pass is tell for runs that nobody changes any more.
func (t *teller) pass(runs []*job.Run) {
	more := map[string]int{} // by master
	for _, run := range runs {
		more[run.Master]++
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, run := range runs {
		master := run.Master
		_, busy := t.waits[master]
		t.waits[master] = append(slices.Grow(t.waits[master], more[master]), run)
		more[master] = 0 // there is room for all
		if !busy {
			t.l.wg.Go(func() { t.tellAll(master) })
		}
	}
}

// tellAll tells a master of all that waits for that.
func (t *teller) tellAll(master string) {
	for {
		t.mu.Lock()
		runs := t.waits[master]
		if len(runs) == 0 {
			delete(t.waits, master)
			t.mu.Unlock()
			return
		}
		t.waits[master] = []*job.Run{}
		t.mu.Unlock()
		t.l.tell(master, runs)
	}
}

// tell makes a master begin runs, in as few messages as they fit into. Those of
// a message that it does not take are a matter each, and one that it does not take
// alone gets another master.
func (l *leader) tell(master string, runs []*job.Run) {
	for len(runs) > 0 {
		n := cutRuns(runs)
		group := runs[:n:n]
		runs = runs[n:]
		err := l.conduct(master, group)
		switch {
		case l.ctx.Err() != nil:
			return
		case err == nil:
			l.dismissEnded(idsOf(group))
		case n == 1:
			l.wg.Go(func() { l.insist(*group[0]) })
		default:
			for i := range group {
				l.wg.Go(func() { l.tell(master, group[i:i+1]) })
			}
		}
	}
}

// conduct tells a master once to begin runs.
func (l *leader) conduct(master string, runs []*job.Run) error {
	ctx, cancel := context.WithTimeout(l.ctx, describeTimeout)
	defer cancel()
	_, err := call[wire.Nothing](ctx, l.n, master, wire.MethodConduct, wire.Conduct{Runs: runs})
	if err != nil && l.ctx.Err() == nil {
		l.n.log.Warn("a master did not take what it is to conduct", telemetry.Run(runs[0].ID), slog.Int("runs", len(runs)),
			telemetry.Member(l.n.nameOf(master)), telemetry.Err(err))
	}
	return err
}

// insist gives a run that its master did not take another one, until one takes it.
func (l *leader) insist(run job.Run) {
	for wait := 20 * time.Millisecond; pause(l.ctx, wait); wait = min(2*wait, time.Second) {
		var ok bool
		if run, ok = l.assign(run.ID, run.Master, "its master "+l.n.nameOf(run.Master)+" did not take it"); !ok {
			return
		}
		group := []*job.Run{&run}
		if l.conduct(run.Master, group) == nil {
			l.dismissEnded(idsOf(group))
			return
		}
	}
}

// dismissEnded tells the master of runs which of them were ended while it was
// told to begin them: the word of that may have come first.
func (l *leader) dismissEnded(runs []job.RunID) {
	l.mu.Lock()
	var over []job.RunID
	for _, id := range runs {
		if _, begun := l.runs.Get(id); !begun {
			over = append(over, id)
		}
	}
	l.mu.Unlock()
	for _, id := range over {
		if run, err := l.state.Run(id); err == nil && run.State.Done() && run.State != job.Succeeded {
			l.dismiss(&run)
		}
	}
}

func idsOf(runs []*job.Run) []job.RunID {
	ids := make([]job.RunID, len(runs))
	for i := range runs {
		ids[i] = runs[i].ID
	}
	return ids
}

const (
	// maxTogether is how many runs one message is about at most.
	maxTogether = 1024
	// aboutRun is what a run takes in a message beyond what its caller made
	// large, about.
	aboutRun = 512
)

// cutRuns returns how many of runs one message is to hold: at least one.
func cutRuns(runs []*job.Run) int {
	size := 0
	for i, run := range runs {
		if size += sizeOf(run); i > 0 && size > maxDispatch || i == maxTogether {
			return i
		}
	}
	return len(runs)
}

// sizeOf returns about how many bytes a run takes in a message.
func sizeOf(run *job.Run) int {
	size := aboutRun + len(run.Spec.Params) + len(run.Key) + len(run.Plan.Sample)
	for name, value := range run.Extra {
		size += len(name) + len(value)
	}
	for _, id := range run.Plan.Nodes {
		size += len(id)
	}
	return size
}

// assignAll gives runs that wait, and were counted as begun, their first
// masters. What can't be recorded together is a matter each.
func (l *leader) assignAll(ids []job.RunID) {
	all, runs, choose := make([]state.Assignment, 0, len(ids)), make([]job.Run, 0, len(ids)), l.chooser("")
	for _, id := range ids {
		run, err := l.state.Run(id)
		if err != nil || run.State != job.Pending {
			l.appoint(id, "", "it may begin")
			continue
		}
		all = append(all, state.Assignment{Run: id, After: run.Epoch, Master: choose(), Why: "it may begin"})
		runs = append(runs, run)
	}
	begun := runs[:0]
	for i, err := range l.state.AssignAll(l.ctx, all) {
		if err != nil {
			l.appoint(all[i].Run, "", "it may begin")
			continue
		}
		run := runs[i]
		run.Master, run.Epoch, run.State = all[i].Master, all[i].After+1, job.Running
		l.note(&run)
		begun = append(begun, run)
	}
	l.teller.tell(begun...)
}
