package state

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

const (
	// maxHistory is how many happenings of a run are kept: the latest.
	maxHistory = 100
	// maxWhat bounds one of them in bytes; the rest is cut off.
	maxWhat = 1 << 10
	// maxCalled bounds the name of a node in it.
	maxCalled = 1 << 8
)

// Note adds a line to the history of a run for its master. A line that says
// what the one before it does is not added, so it may be repeated. ErrFenced
// says that the run has another epoch, ErrFinal that it has ended.
func (s *State) Note(ctx context.Context, id job.RunID, epoch uint64, text string) error {
	_, err := s.change(ctx, id, &wire.NoteRun{Run: id, Epoch: epoch, Text: cut(text, maxWhat), At: s.now().UnixNano()})
	return err
}

func (tx *change) note(c *wire.NoteRun) (result, error) {
	old, r, err := tx.mastered(c.Run, c.Epoch)
	if err != nil || r.err != nil {
		return r, err
	}
	if old.State.Done() {
		return final(c.Run, old)
	}
	if old.Happened > 0 {
		last, err := readHappening(tx.batch, c.Run, old, old.Happened-1)
		if err != nil {
			return result{}, err
		}
		if last.What == cut(c.Text, maxWhat) {
			return result{status: old}, nil
		}
	}
	st := *old
	if err := tx.happened(c.Run, &st, c.At, "%s", c.Text); err != nil {
		return result{}, err
	}
	return tx.update(c.Run, &st)
}

// happened adds to the history of a run whose status st is going to be set.
func (tx *change) happened(id job.RunID, st *wire.RunStatus, at int64, format string, args ...any) error {
	what := cut(fmt.Sprintf(format, args...), maxWhat)
	n := st.Happened
	st.Happened++
	if takesItem(st.History, n, len(what)) {
		st.History = appendItem(st.History, uint64(at), []byte(what)...)
		return nil
	}
	if n >= maxHistory && n-maxHistory >= told(st) {
		if err := tx.batch.Delete(happeningKey(id, n-maxHistory)); err != nil {
			return err
		}
	}
	return tx.batch.Put(happeningKey(id, n), binary.BigEndian.AppendUint64(nil, uint64(at)), []byte(what))
}

// told is how many happenings are in the status of a run: the first ones.
func told(st *wire.RunStatus) uint64 { return length(st.History) }

// masters says who conducts a run from now on, by the name that people call it
// by, if that is known.
func masters(called string, st *wire.RunStatus) string {
	return fmt.Sprintf("master %s, epoch %d", cmp.Or(called, st.Master), st.Epoch)
}

// called returns what people call a node by, or "" if that is not known.
func (s *State) called(node string) string {
	if s.names == nil || node == "" {
		return ""
	}
	return cut(s.names(node), maxCalled)
}

// because adds a reason to what happened, if there is one.
func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// readHistory returns what happened to a run, and first how much more did.
func readHistory(g getter, id job.RunID, st *wire.RunStatus) ([]job.Happening, error) {
	var all []job.Happening
	dropped := uint64(0)
	if st.Happened > maxHistory {
		dropped = st.Happened - maxHistory
	}
	for n := dropped; n < st.Happened; n++ {
		h, err := readHappening(g, id, st, n)
		if err != nil {
			return nil, err
		}
		if n == dropped && dropped > 0 {
			all = append(all, job.Happening{At: h.At, What: fmt.Sprintf("%d earlier happenings are left out", dropped)})
		}
		all = append(all, h)
	}
	return all, nil
}

func readHappening(g getter, id job.RunID, st *wire.RunStatus, n uint64) (job.Happening, error) {
	it, ok, err := itemAt(st.History, n)
	if err != nil || ok {
		return job.Happening{At: timeOf(int64(it.n)), What: string(it.data)}, err
	}
	key := happeningKey(id, n)
	b, err := g.Get(key)
	if err != nil {
		return job.Happening{}, missing(err)
	}
	if len(b) < 8 {
		return job.Happening{}, fmt.Errorf("state: record %q has %d bytes: %w", key, len(b), store.ErrCorrupt)
	}
	return job.Happening{At: timeOf(int64(binary.BigEndian.Uint64(b))), What: string(b[8:])}, nil
}

// dropHistory removes what is kept of a run's history.
func (tx *change) dropHistory(id job.RunID, st *wire.RunStatus) error {
	for n := max(st.Happened-min(st.Happened, maxHistory), told(st)); n < st.Happened; n++ {
		if err := tx.batch.Delete(happeningKey(id, n)); err != nil {
			return err
		}
	}
	return nil
}
