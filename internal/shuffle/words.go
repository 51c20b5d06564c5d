package shuffle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unsafe"
)

// Words combines values that fit a machine word, as counts and sums do. They
// are bytes only where they leave the Writer's buffer.
type Words struct {
	// Combine is the Combine of the Writer, of words.
	Combine func(a, b uint64) uint64
	// Append appends the value that a word stands for to dst.
	Append func(dst []byte, word uint64) []byte
	// Alive is asked every now and then whether to go on. Its error is that of
	// AddWord.
	Alive func() error
}

const (
	wordSize = 8
	// maxBatch is how many words are looked up in the table together.
	maxBatch = 64
)

// batch is words that are yet to be looked up. That is done for many at once:
// the processor then waits for memory once for several, and not for each, and
// what there is to check is checked once.
type batch struct {
	n     int
	slots [maxBatch]slot // ref is where in keys a long key is
	keys  []byte         // long keys, each after its length
	key   [16]byte       // a key that is not long
}

// noWord is the value of a record whose word is in the table.
var noWord [wordSize]byte

// AddWord takes a pair whose value is a word; see Words. It copies key. What is
// wrong with a pair may be told by a later AddWord or by Commit. After an error
// the Writer is of no more use, and Commit returns the same error.
func (w *Writer) AddWord(key []byte, word uint64) error {
	b := w.batch
	if b == nil || b.n == maxBatch {
		if w.err == nil {
			w.err = w.nextBatch()
		}
		if w.err != nil {
			return w.err
		}
		b = w.batch
	}
	s := &b.slots[b.n&(maxBatch-1)]
	s.probe = probeOf(key)
	s.word = word
	s.hash = w.table.hasher.hash(s.probe, key)
	if s.long() {
		if len(key) > maxKey {
			w.err = w.takes(key)
			return w.err
		}
		s.ref = uint32(len(b.keys))
		b.keys = binary.LittleEndian.AppendUint32(w.acct.room(b.keys, 4+len(key)), uint32(len(key)))
		b.keys = append(b.keys, key...)
	}
	b.n++
	w.stats.Bytes += int64(len(key) + wordSize)
	return nil
}

// nextBatch adds the words of the batch, and begins another.
func (w *Writer) nextBatch() error {
	if err := w.takes(nil); err != nil {
		return err
	}
	if w.cfg.Words == nil {
		return errors.New("shuffle: AddWord to a Writer without Words")
	}
	if err := w.cfg.Words.Alive(); err != nil {
		return err
	}
	if w.batch == nil {
		w.acct.force(int64(unsafe.Sizeof(batch{})))
		w.batch = new(batch)
	}
	return w.addBatch()
}

// addBatch adds the words of the batch and empties it.
func (w *Writer) addBatch() error {
	b := w.batch
	if b == nil {
		return nil
	}
	batch := b.slots[:b.n]
	w.stats.Records += int64(len(batch))
	if w.table.judge(len(batch)) {
		w.giveUp()
	}
	if !w.table.off {
		if err := w.ready(); err != nil {
			return err
		}
		w.touchSlots(batch)
	}
	for i := range batch {
		if err := w.addSlot(&batch[i]); err != nil {
			return err
		}
	}
	b.n = 0
	b.keys = w.acct.trim(b.keys, 64<<10)
	return nil
}

// touchSlots brings the slots of a batch into the cache, without waiting for one
// before it asks for the next.
func (w *Writer) touchSlots(batch []slot) {
	slots, sum := w.table.slots, uint32(0)
	mask := uint32(len(slots) - 1)
	for i := range batch {
		sum += slots[batch[i].hash&mask].ref
	}
	w.touched = byte(sum)
}

// addSlot adds a word of the batch.
func (w *Writer) addSlot(b *slot) error {
	if w.table.off {
		if err := w.insertWord(w.batchKey(b), b.word); err != nil || w.table.off {
			return err
		}
		return w.ready() // there was a spill, and the next word may find a table worth its while
	}
	slots := w.table.slots
	mask := uint32(len(slots) - 1)
	for i := b.hash & mask; ; i = (i + 1) & mask {
		s := &slots[i]
		if s.probe == b.probe && (!b.long() || bytes.Equal(w.arena.key(w.refs[s.ref-1].at), w.batchKey(b))) {
			s.word = w.cfg.Words.Combine(s.word, b.word)
			return nil
		}
		if s.ref == 0 {
			return w.enterWord(s, b)
		}
	}
}

// batchKey returns the key of a word of the batch. It is valid until the next
// call.
func (w *Writer) batchKey(b *slot) []byte {
	if !b.long() {
		return b.probe.key(&w.batch.key)
	}
	keys := w.batch.keys[b.ref:]
	return keys[4:][:binary.LittleEndian.Uint32(keys)]
}

// enterWord adds a record and lets the free slot s stand for it.
func (w *Writer) enterWord(s, b *slot) error {
	if err := w.enter(s, b.probe, b.hash, w.batchKey(b), noWord[:], b.word); err != nil {
		return err
	}
	return w.ready() // for the next
}

// insertWord adds a record to the buffer that no slot stands for.
func (w *Writer) insertWord(key []byte, word uint64) error {
	var value [wordSize]byte
	binary.LittleEndian.PutUint64(value[:], word)
	return w.insert(key, value[:], wordSize)
}

// settle moves the words that are in the table to their records, some at a
// time for the same reason as touch.
func (w *Writer) settle() {
	if w.cfg.Words == nil || w.table.used == 0 {
		return
	}
	var near [ahead]*slot
	n := 0
	for i := range w.table.slots {
		if s := &w.table.slots[i]; s.ref != 0 {
			near[n] = s
			if n++; n == ahead {
				w.settleSlots(near[:])
				n = 0
			}
		}
	}
	w.settleSlots(near[:n])
}

func (w *Writer) settleSlots(near []*slot) {
	var records [ahead][]byte
	sum := byte(0)
	for i, s := range near {
		b := w.arena.at(w.refs[s.ref-1].at)
		sum += b[0]
		records[i] = b
	}
	w.touched = sum
	for i, s := range near {
		b := records[i]
		binary.LittleEndian.PutUint64(b[slotHead+binary.LittleEndian.Uint32(b):], s.word)
	}
}

// passWords passes sorted records on, those of a key as one.
func (w *Writer) passWords(sorted []ref) error {
	words := w.cfg.Words
	for i, touched := 0, 0; i < len(sorted); {
		if i >= touched {
			touched = min(i+ahead, len(sorted))
			w.touch(sorted[i:touched])
		}
		r := sorted[i]
		key, value := w.arena.record(r.at)
		word := binary.LittleEndian.Uint64(value)
		for i++; i < len(sorted) && sorted[i].prefix == r.prefix; i++ {
			next, value := w.arena.record(sorted[i].at)
			if !bytes.Equal(next, key) {
				break
			}
			word = words.Combine(word, binary.LittleEndian.Uint64(value))
		}
		w.made = words.Append(w.made[:0], word)
		if err := w.out.sink.add(key, w.made); err != nil {
			return err
		}
	}
	return nil
}
