package node

import (
	"sync"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/pkg/job"
)

// teller makes masters begin runs that were recorded one by one and begin at
// about the same time: while a master is told of some, those that come wait,
// and it is told of them together.
type teller struct {
	l *leader

	mu    sync.Mutex
	waits map[string][]job.Run // by master, while it is told of others; guarded by mu
}

func newTeller(l *leader) *teller { return &teller{l: l, waits: map[string][]job.Run{}} }

// tell has masters begin runs.
func (t *teller) tell(runs ...job.Run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, run := range runs {
		_, busy := t.waits[run.Master]
		t.waits[run.Master] = append(t.waits[run.Master], run)
		if !busy {
			t.l.wg.Go(func() { t.tellAll(run.Master) })
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
		t.waits[master] = []job.Run{}
		t.mu.Unlock()
		t.l.tellAll(master, runs)
	}
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
