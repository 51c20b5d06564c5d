package shuffle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"

	"github.com/musterhq/muster/pkg/job"
)

// WriterConfig says what a Writer makes.
type WriterConfig struct {
	// Attempt is the map attempt whose output it is.
	Attempt job.AttemptID
	// Partitions is how many partitions there are, from 1 to 65536.
	Partitions int
	// Partition returns the partition of a key, from 0 to Partitions-1. The
	// key is valid during the call only.
	Partition func(key []byte) int
	// Combine appends the combination of the values a and b to dst and returns
	// it. It must be associative and commutative; it is applied any number of
	// times, to any values of a key, and may not keep its arguments. Nil means
	// that all pairs are kept.
	Combine CombineFunc
	// Words is how Combine works on values that are machine words. If it is
	// set, so is Combine, and all pairs are added by AddWords.
	Words *Words
}

// Writer takes the pairs of one map attempt. It is for one goroutine.
type Writer struct {
	s   *Shuffle
	run *run
	id  job.MapOutputID
	cfg WriterConfig

	acct    *account
	arena   arena
	refs    []ref // the records in the arena
	table   table
	made    []byte // what Combine made last
	batch   *batch // words that are being added
	touched byte   // of what touch has read
	count   []uint32
	out     fold

	runs    []spilled
	draft   draft    // where the buffer is written to
	repeats bool     // the runs have keys in common that a merge would combine
	base    string   // what the names of its temporary files begin with
	files   int      // how many there were
	file    *os.File // the last one that runs were merged to, maybe closed
	stats   Stats
	err     error // what made it fail
	ended   bool  // committed or aborted
}

// Writer returns a Writer for the output of a map attempt. The caller commits
// or aborts it. An attempt that is being written, or was, is refused.
func (s *Shuffle) Writer(cfg WriterConfig) (*Writer, error) {
	a := cfg.Attempt
	switch {
	case a.Task.Kind != job.KindMap || a.Task.N < 0 || a.N < 0:
		return nil, fmt.Errorf("shuffle: %v is not an attempt of a map task", a)
	case cfg.Partitions < 1 || cfg.Partitions > maxParts:
		return nil, fmt.Errorf("shuffle: %d partitions for %v: want 1 to %d", cfg.Partitions, a, maxParts)
	case cfg.Partition == nil:
		return nil, fmt.Errorf("shuffle: Partition is nil for %v: want a function of the key", a)
	case cfg.Words != nil && (cfg.Combine == nil || cfg.Words.Combine == nil || cfg.Words.Append == nil || cfg.Words.Alive == nil):
		return nil, fmt.Errorf("shuffle: Words for %v that are not whole: want a Combine of bytes, and all fields", a)
	}
	r, err := s.run(a.Run)
	if err != nil {
		return nil, err
	}
	id := job.MapOutputID{Task: a.Task.N, Epoch: a.Epoch, Attempt: a.N}
	if err := s.claim(r, id); err != nil {
		return nil, err
	}
	if err := r.make(); err != nil {
		s.forget(r, id)
		return nil, err
	}
	w := &Writer{s: s, run: r, id: id, cfg: cfg, acct: s.budget.account()}
	w.base = fmt.Sprintf("%s.w%d", r.path(id), s.serial.Add(1))
	w.arena.acct = w.acct
	w.table = table{acct: w.acct, hasher: newHasher(), hint: int(r.keys.Load())}
	w.acct.force(int64(cfg.Partitions) * 4)
	w.count = make([]uint32, cfg.Partitions)
	w.out = fold{sink: newSink(w.acct), combine: cfg.Combine}
	return w, nil
}

// claim notes that a map output is being written.
func (s *Shuffle) claim(r *run, id job.MapOutputID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done, ok := r.outputs[id]; ok {
		state := "is being written"
		if done {
			state = "is committed"
		}
		return fmt.Errorf("shuffle: map output m%d#%d of %s %s: each attempt has one", id.Task, id.Attempt, r.id, state)
	}
	r.outputs[id] = false
	return nil
}

// Add takes a pair. It copies key and value. After an error the Writer is of
// no more use, and Commit returns the same error.
func (w *Writer) Add(key, value []byte) error {
	if w.err == nil {
		w.err = w.add(key, value)
	}
	return w.err
}

func (w *Writer) add(key, value []byte) error {
	if err := w.takes(key); err != nil {
		return err
	}
	if len(value) > maxValue {
		return fmt.Errorf("shuffle: value of key %.64q has %d bytes: the limit is %d", key, len(value), maxValue)
	}
	if w.cfg.Words != nil {
		return errors.New("shuffle: Add to a Writer of words: use AddWords")
	}
	w.stats.Records++
	w.stats.Bytes += int64(len(key) + len(value))
	if w.cfg.Combine == nil {
		return w.insert(key, value, len(value))
	}
	if w.table.off {
		return w.insert(key, value, roomFor(len(value)))
	}
	if w.table.judge(1) {
		w.giveUp()
		return w.insert(key, value, roomFor(len(value)))
	}
	if err := w.ready(); err != nil {
		return err
	}
	pr := probeOf(key)
	h := w.table.hasher.hash(pr, key)
	s := w.find(pr, h, key)
	if s.ref != 0 {
		return w.combine(s, key, value)
	}
	return w.enter(s, pr, h, key, value, 0)
}

// takes reports why a pair with the given key can't be added, if it can't.
func (w *Writer) takes(key []byte) error {
	switch {
	case w.ended:
		return errors.New("shuffle: Add to a Writer that was committed or aborted")
	case w.run.gone.Load():
		return w.run.err()
	case len(key) > maxKey:
		return fmt.Errorf("shuffle: key %.32q... has %d bytes: the limit is %d", key, len(key), maxKey)
	}
	return nil
}

// insert adds a record to the buffer.
func (w *Writer) insert(key, value []byte, room int) error {
	p := w.cfg.Partition(key)
	if uint(p) >= uint(w.cfg.Partitions) {
		return fmt.Errorf("shuffle: Partition returned %d for key %.64q: want 0 to %d", p, key, w.cfg.Partitions-1)
	}
	return w.put(ref{prefix: prefix(key), part: uint16(p)}, key, value, room)
}

// ready makes sure that the table has a free slot.
func (w *Writer) ready() error {
	if !w.table.ready() {
		if err := w.spill(); err != nil {
			return err
		}
		w.table.ready()
	}
	return nil
}

// enter adds a record to the buffer and lets the free slot s stand for it.
func (w *Writer) enter(s *slot, pr probe, hash uint32, key, value []byte, word uint64) error {
	if err := w.insert(key, value, roomFor(len(value))); err != nil {
		return err
	}
	if w.table.used == 0 { // maybe it was emptied just now, and is another one
		w.table.ready()
		s = w.find(pr, hash, key)
	}
	*s = slot{probe: pr, word: word, hash: hash, ref: uint32(len(w.refs))}
	w.table.used++
	return nil
}

// giveUp turns the table off until the buffer is next empty.
func (w *Writer) giveUp() {
	w.settle()
	w.table.off = true
	w.table.free()
}

// roomFor is how many bytes a value of n gets, so that its combinations with
// others can mostly take its place.
func roomFor(n int) int {
	if n > growing {
		return n
	}
	c := 8
	for c < n {
		c *= 2
	}
	return c
}

// put adds a record to the buffer, with the given room for its value. When it
// gets no memory, it spills first.
func (w *Writer) put(r ref, key, value []byte, room int) error {
	n := slotHead + len(key) + room
	r.size = uint16(min(n, mostTouched))
	ok := !w.plenty() && (len(w.refs) < cap(w.refs) || w.moreRefs(false))
	var b []byte
	if ok {
		r.at, b, ok = w.arena.put(n, false)
	}
	if !ok {
		if err := w.spill(); err != nil {
			return err
		}
		if cap(w.refs) == 0 {
			w.moreRefs(true)
		}
		r.at, b, _ = w.arena.put(n, true)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(key)))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(value)))
	copy(b[slotHead:], key)
	copy(b[slotHead+len(key):], value)
	w.refs = append(w.refs, r)
	return nil
}

// maxSorted is how many bytes of records and refs are sorted together where
// pairs do not combine: those of a split of the usual size. With more the map
// output would have fewer layers, and as many pairs.
const maxSorted = 30 << 20

// plenty reports whether nothing is gained by a larger buffer.
func (w *Writer) plenty() bool {
	return w.arena.full+len(w.refs)*2*refSize >= maxSorted && (w.cfg.Combine == nil || w.table.off)
}

// sortable are refs that nobody uses.
var sortable reuse[ref]

// moreRefs makes room for more refs, and for as many again to sort them.
func (w *Writer) moreRefs(force bool) bool {
	n := 1 << bits.Len(uint(max(2*cap(w.refs), w.s.budget.sizes.refs)-1))
	if force {
		w.acct.force(int64(n) * 2 * refSize)
	} else if !w.acct.grow(int64(n)*2*refSize, 1) {
		return false
	}
	refs := append(sortable.get(n), w.refs...)
	w.dropRefs()
	w.refs = refs
	return true
}

// dropRefs gives the refs back.
func (w *Writer) dropRefs() {
	w.acct.shrink(int64(cap(w.refs)) * 2 * refSize)
	sortable.put(w.refs)
	w.refs = nil
}

// find returns the slot of the table that the key has, or the free one that it
// would get.
func (w *Writer) find(pr probe, hash uint32, key []byte) *slot {
	slots := w.table.slots
	mask := uint32(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &slots[i]
		if s.probe == pr && (!pr.long() || bytes.Equal(w.arena.key(w.refs[s.ref-1].at), key)) {
			return s
		}
		if s.ref == 0 {
			return s
		}
	}
}

// combine combines value with that of the record in s.
func (w *Writer) combine(s *slot, key, value []byte) error {
	r := &w.refs[s.ref-1]
	_, had := w.arena.record(r.at)
	made, err := combined(w.acct, w.cfg.Combine, w.acct.trim(w.made, 4*growing), had, value)
	w.made = made
	if err != nil {
		return err
	}
	if len(made) <= roomFor(len(had)) {
		b := w.arena.at(r.at)
		binary.LittleEndian.PutUint32(b[4:], uint32(len(made)))
		copy(b[slotHead+len(key):], made)
		return nil
	}
	if len(made) > growing {
		// It would be copied for each value to come: keep both, and let those
		// to come join the smaller one.
		return w.replace(s, r, key, value)
	}
	at, b, ok := w.arena.put(slotHead+len(key)+roomFor(len(made)), false)
	if !ok {
		return w.replace(s, r, key, value)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(key)))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(made)))
	copy(b[slotHead:], key)
	copy(b[slotHead+len(key):], made)
	r.at = at
	return nil
}

// replace adds value as a record of its own, and makes s stand for it.
func (w *Writer) replace(s *slot, r *ref, key, value []byte) error {
	if err := w.put(ref{prefix: r.prefix, part: r.part}, key, value, roomFor(len(value))); err != nil {
		return err
	}
	if w.table.used > 0 { // else it was emptied
		s.ref = uint32(len(w.refs))
	}
	return nil
}

// Commit writes the map output and makes it visible to readers. If it fails,
// nothing is left of it.
func (w *Writer) Commit() (Stats, error) {
	if w.ended && w.err == nil {
		w.err = errors.New("shuffle: Commit of a Writer that was committed or aborted")
	}
	if w.err == nil {
		w.err = w.commit()
	}
	if w.err != nil {
		if err := w.run.err(); err != nil {
			w.err = err // whatever else failed, this is why
		}
		w.Abort()
		return w.stats, w.err
	}
	w.ended = true
	w.run.keys.Store(int64(w.table.hint))
	w.end()
	return w.stats, nil
}

func (w *Writer) commit() error {
	if len(w.refs) > 0 || len(w.runs) == 0 {
		if err := w.write(); err != nil {
			return err
		}
	}
	if !w.layered() {
		if err := w.mergeAll(); err != nil {
			return err
		}
	}
	if err := w.out.finish(w.tail()); err != nil {
		return err
	}
	w.stats.FileBytes = w.out.off
	if err := os.Rename(w.draft.path, w.run.path(w.id)); err != nil {
		return fmt.Errorf("shuffle: commit map output: %w", err)
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.runs[w.run.id] != w.run {
		return ErrDropped
	}
	w.run.outputs[w.id] = true
	return nil
}

// tail returns the index and the footer of the draft.
func (w *Writer) tail() []byte {
	parts, layers := w.cfg.Partitions, len(w.runs)
	b := make([]byte, 0, parts*layers*entrySize+footerSize)
	for p := range parts {
		for i, r := range w.runs {
			b = appendIndex(b, p, i, r.extents[p])
			w.stats.Kept += r.extents[p].records
		}
	}
	return appendFooter(b, w.draft.end, parts, layers)
}

// Abort deletes what was written. After Commit, or a second time, it does
// nothing.
func (w *Writer) Abort() {
	if w.ended {
		return
	}
	w.ended = true
	w.end()
	w.s.forget(w.run, w.id)
}

// end deletes the temporary files and gives the memory back.
func (w *Writer) end() {
	if w.file != nil {
		w.file.Close() // open only if Combine panicked
	}
	w.draft.close()
	for i := range w.files {
		os.Remove(w.temp(i))
	}
	w.arena.drop()
	w.table.free()
	w.dropRefs()
	w.arena, w.table, w.out, w.count, w.runs, w.made = arena{}, table{}, fold{}, nil, nil, nil
	w.batch = nil
	w.acct.close()
}
