package state

import (
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// change is a write in the making: the effects of some commands and the place
// in the log that they lead to. The status of a run is written once however
// many commands touched it.
type change struct {
	f       *fsm
	batch   *store.Batch
	at      cursor
	touched []job.RunID // in the order of their first touch
	looked  looked
	dirty   map[job.RunID]*wire.RunStatus
	counts  map[string]uint64
	jobs    map[jobName]*wire.JobStatus // nil for one that was removed
	sizes   map[jobName]int             // what those will take, in pending
	atWork  []jobName                   // the jobs that the command which is carried out has looked at
	heard   map[topic][]jobName         // who listens, where that has changed
	paused  map[jobName]bool            // whether a job is, where that has changed
	surplus []jobName                   // the jobs of which runs may have to be forgotten
	mail    bool                        // letters came
	pending int                         // bytes that what is in dirty, counts and jobs will take
	freed   int                         // bytes of what was removed, about
	placed  []placed                    // what was put into an index whose front is remembered
	lots    []job.RunID                 // that were created
	ahead   []aheadRun                  // that were recorded ahead of an instant
	came    int64                       // the last instant that has come
	begun   []begunRun                  // what began with it, if it is new
	inLots  []overInLot                 // what has ended in lots
	news    []shown                     // what readers of the feed are to hear
	when    time.Time                   // the entry was made
	now     place                       // of the last change that was shown
}

// looked is the status that was read last, or that there is none: a command is
// measured by it before it is carried out.
type looked struct {
	id     job.RunID
	status *wire.RunStatus
}

// extent is how much the last change was about: the next is likely to be about as
// much. It lends that its room for news.
type extent struct {
	runs, jobs, counts int
	news               []shown
}

// placed is a key that was put into an index, which prefix names.
type placed struct{ prefix, key []byte }

func (f *fsm) begin() (*change, error) {
	b, err := f.kv.Batch()
	if err != nil {
		return nil, err
	}
	l := &f.last
	return &change{
		f: f, batch: b, at: f.at, touched: make([]job.RunID, 0, l.runs), dirty: make(map[job.RunID]*wire.RunStatus, l.runs),
		counts: make(map[string]uint64, l.counts), jobs: make(map[jobName]*wire.JobStatus, l.jobs), sizes: make(map[jobName]int, l.jobs),
		heard: map[topic][]jobName{}, paused: map[jobName]bool{}, news: l.news[:0], came: f.ahead.came,
	}, nil
}

// entry carries out the commands of one entry, except those that the store
// has from before a restart.
func (tx *change) entry(index uint64, made time.Time, data []byte) ([]result, error) {
	skip := uint32(0)
	if tx.at.Index == index {
		skip = tx.at.Done
	}
	results := make([]result, 0, wire.Length(data))
	for c, err := range wire.Commands(data) {
		if err != nil {
			return nil, err
		}
		n := uint32(len(results))
		if n < skip {
			results = append(results, result{})
			continue
		}
		tx.when, tx.now = timeAt(made), place{index, n, 0}
		r, err := tx.command(c)
		if err != nil {
			return nil, fmt.Errorf("command %d: %w", n, err)
		}
		results = append(results, r)
		tx.at = cursor{index, n + 1}
	}
	tx.at = cursor{index, allDone}
	return results, nil
}

// slack is what a change needs beyond its records: cursor, version, indexes.
const slack = 8 << 10

// command carries out one command, after what came before was written if both
// do not fit into one write. What could not be stored is refused here too, not
// only by those who propose: a command in the log is for ever, and one that
// can't be carried out would stop every node that reads it.
func (tx *change) command(c wire.Command) (result, error) {
	if err := checkNames(c); err != nil {
		return result{err: err}, nil //nolint:nilerr // a refusal is an answer
	}
	id, need := cost(c)
	if id != "" {
		st, err := tx.status(id)
		if err != nil {
			return result{}, err
		}
		need += statusSize(id, st) + statusShort(id)
		if st != nil && st.InLot {
			more, err := tx.lotSize(id)
			if err != nil {
				return result{}, err
			}
			need += more
		}
		if moves(c) {
			need += maxWhat + indexRecords*(namesSize(c, st)+perRecord)
			if st != nil {
				need += listingsSize(id, st.Tags)
			}
			if st != nil && st.Fired { // its job hears of its end
				need += maxJobStatus
			}
			if st != nil && !st.Staged {
				need += tx.letters(st)
			}
		}
	}
	if c, ok := c.(*wire.FireJob); ok {
		js, err := tx.job(c.Namespace, c.Name)
		if err != nil {
			return result{}, err
		}
		need += tx.endsSize(js, jobName{c.Namespace, c.Name})
	}
	if _, ok := c.(*wire.NoteNode); ok {
		need += 2 * len(tx.listeners(topicOf("", job.TopicNodes))) * aboutLetter
	}
	if need+slack > store.MaxBatch {
		return refuse(ErrInvalid, "a command needs %d bytes at once, the limit is %d", need, store.MaxBatch-slack)
	}
	if tx.batch.Size()+tx.pending+need+slack > store.MaxBatch {
		if err := tx.flush(); err != nil {
			return result{}, err
		}
	}
	r, err := tx.run(c)
	for _, j := range tx.atWork {
		tx.measure(j)
	}
	tx.atWork = tx.atWork[:0]
	return r, err
}

// status returns the status of a run as of now, or nil. It is shared: to
// change it, set a copy.
func (tx *change) status(id job.RunID) (*wire.RunStatus, error) {
	own, again := tx.dirty[id]
	if own != nil {
		return own, nil
	}
	if lot, i, ok := lotOf(id); ok {
		if l, err := tx.status(lot); err != nil || holds(l, i) {
			st, failed := inLot(tx.batch, lot, l, i)
			return st, errors.Join(err, failed)
		}
	}
	if again {
		return nil, nil
	}
	if st := tx.f.live[id]; st != nil {
		return st, nil
	}
	if tx.looked.id == id {
		return tx.looked.status, nil
	}
	st, err := readOwnStatus(tx.batch, id)
	if err == nil {
		tx.looked = looked{id, st}
	}
	return st, err
}

// set replaces the status of a run, which leaves its lot, or of a lot; nil
// removes it.
func (tx *change) set(id job.RunID, st *wire.RunStatus) error {
	if st != nil && st.Ahead != 0 && !tx.early(st) {
		st.Ahead = 0
	}
	tx.showRun(id, st)
	err := tx.leaveLot(id, st)
	old, again := tx.dirty[id]
	if again {
		tx.pending -= statusSize(id, old)
	} else {
		tx.touched = append(tx.touched, id)
	}
	tx.dirty[id] = st
	tx.pending += statusSize(id, st)
	return err
}

// statusSize is an upper bound of what a status takes in a write.
func statusSize(id job.RunID, st *wire.RunStatus) int {
	n := 256 + len(id)
	if st != nil {
		n += len(st.Master) + len(st.Reason) + len(st.Cancel) + len(st.Progress) +
			len(st.Namespace) + len(st.Job) + len(st.Key) + len(st.Of) + len(st.Line) +
			len(st.Journal) + len(st.History) + len(st.Begins) + len(st.Over) + len(st.Left)
		for _, tag := range st.Tags {
			n += len(tag) + 5
		}
	}
	return n
}

// flush writes what there is and goes on with an empty change.
func (tx *change) flush() error {
	if err := tx.commit(); err != nil {
		return err
	}
	next, err := tx.f.begin()
	if err != nil {
		return err
	}
	next.when, next.now = tx.when, tx.now
	*tx = *next
	return nil
}

func (tx *change) commit() error {
	if tx.at == tx.f.at {
		return nil
	}
	for _, id := range tx.touched {
		if err := tx.putStatus(id, tx.dirty[id]); err != nil {
			return err
		}
	}
	put := tx.batch.Put
	if err := errors.Join(tx.putCounts(), tx.putJobs(), put(cursorKey, tx.at.bytes()), put(versionKey, []byte{layoutVersion})); err != nil {
		return err
	}
	if err := tx.f.write(tx.batch); err != nil {
		return err
	}
	for _, p := range tx.placed {
		switch p.key[0] {
		case 'd':
			tx.f.timed.put(p.prefix, p.key)
		case 'W':
			tx.f.wakes.put(p.prefix, p.key)
		default:
			tx.f.lines.put(p.prefix, p.key)
		}
	}
	tx.f.at = tx.at
	for t, all := range tx.heard {
		if tx.f.listeners[t] = all; len(all) == 0 {
			delete(tx.f.listeners, t)
		}
	}
	tx.f.freed.Add(int64(tx.freed))
	if tx.mail {
		select {
		case tx.f.mailed <- struct{}{}:
		default:
		}
	}
	for j, js := range tx.jobs {
		tx.f.recent.put(j, js)
	}
	tx.f.surplus.add(tx.surplus)
	tx.f.obstacles.take(tx.paused, tx.counts)
	tx.f.goOn(tx.touched, tx.dirty)
	tx.goAhead()
	tx.f.hub.feed.add(tx.news, placeOf(tx.at))
	clear(tx.news)
	tx.f.last = extent{len(tx.touched), len(tx.jobs), len(tx.counts), tx.news[:0]}
	return tx.publish()
}

func (tx *change) putStatus(id job.RunID, st *wire.RunStatus) error {
	if st == nil {
		return tx.batch.Delete(statusKey(id))
	}
	b, err := wire.EncodeRecord(st)
	if err != nil {
		return err
	}
	return tx.batch.Put(statusKey(id), b)
}

// publish tells the watchers, once the change is there to be read.
func (tx *change) publish() error {
	if err := tx.publishLots(); err != nil {
		return err
	}
	for _, id := range tx.touched {
		st := tx.dirty[id]
		if !isRun(st) {
			continue
		}
		if err := tx.f.publish(id, asSeenAt(tx.came, st)); err != nil {
			return err
		}
	}
	for _, b := range tx.begun {
		if err := tx.f.publish(b.id, b.status); err != nil {
			return err
		}
	}
	return nil
}

// publish tells those who watch a run that its status is st.
func (f *fsm) publish(id job.RunID, st *wire.RunStatus) error {
	return f.hub.publish(id, st, loadRun(f.kv, id, st))
}

// end drops what was not written.
func (tx *change) end() { tx.batch.Discard() }
