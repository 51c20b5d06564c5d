package state

import (
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// What becomes of the runs of a lot is told of each, as of any other run.

// showInLot notes what became of run i of a lot.
func (tx *change) showInLot(lot job.RunID, l *wire.RunStatus, i uint64, what string, state job.State) {
	tx.showIn(job.Change{Of: job.RunChanged, What: what, Run: lot, Namespace: l.Namespace, Job: l.Job, State: state.String()}, int(i)+1)
}

// overInLot is runs of a lot that have ended together, to be told of.
type overInLot struct {
	lot    job.RunID
	status *wire.RunStatus
	end    lotEnd
}

// publishLots tells those who watch runs of lots, or wait for them, what became
// of them.
func (tx *change) publishLots() error {
	kv := tx.f.kv
	for _, lot := range tx.lots {
		for _, id := range tx.f.hub.watchedIn(lot) {
			st, err := readStatus(kv, id)
			if err == nil && st != nil {
				err = tx.f.hub.publish(id, st, loadRun(kv, id, st))
			}
			if err != nil {
				return err
			}
		}
	}
	for _, over := range tx.inLots {
		if err := tx.publishInLot(&over); err != nil {
			return err
		}
	}
	return nil
}

func (tx *change) publishInLot(over *overInLot) error {
	if tx.f.hub.isIdle() {
		return nil
	}
	told, err := over.end.told(over.status)
	if err != nil {
		return err
	}
	for it, err := range items(over.end.last) {
		if err != nil {
			return err
		}
		id := job.InLot(over.lot, int(it.n))
		if watched := tx.f.hub.tell(End{ID: id, inLot: told, last: it.data}); !watched {
			continue
		}
		st := begunInLot(over.status, it.n)
		over.end.conclude(st, it.data)
		if err := tx.f.hub.publish(id, st, loadRun(tx.f.kv, id, st)); err != nil {
			return err
		}
	}
	return nil
}
