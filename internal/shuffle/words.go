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
	// AddWords.
	Alive func() error
}

const (
	wordSize = 8
	// maxBatch is how many words are looked up in the table together.
	maxBatch = 64
)

// batch is words that are being looked up. That is done for many at once: the
// processor then waits for memory once for several, and not for each, and what
// there is to check is checked once.
type batch struct {
	slots [maxBatch]slot // ref is which of long a long key is
	long  [][]byte       // lent by the caller of AddWords
	key   [16]byte       // a key that is not long
}

// noWord is the value of a record whose word is in the table.
var noWord [wordSize]byte

// AddWords takes pairs whose values are words; see Words. The key of words[i] is
// in keys[i]: its bytes, then zeros, and in the last byte its length. If it is
// longer than that leaves room for, the last byte is 255, and the key is the next
// one in long. AddWords keeps none of its arguments. After an error the Writer is
// of no more use, and Commit returns the same error.
func (w *Writer) AddWords(keys [][16]byte, long [][]byte, words []uint64) error {
	if w.err == nil {
		w.err = w.addWords(keys, long, words)
	}
	return w.err
}

func (w *Writer) addWords(keys [][16]byte, long [][]byte, words []uint64) error {
	if err := w.takes(nil); err != nil {
		return err
	}
	if w.cfg.Words == nil {
		return errors.New("shuffle: AddWords to a Writer without Words")
	}
	if err := w.cfg.Words.Alive(); err != nil {
		return err
	}
	for _, key := range long {
		if err := w.takes(key); err != nil {
			return err
		}
		w.stats.Bytes += int64(len(key))
	}
	if w.batch == nil {
		w.acct.force(int64(unsafe.Sizeof(batch{})))
		w.batch = new(batch)
	}
	w.stats.Records += int64(len(words))
	for len(words) > 0 {
		n := min(len(words), maxBatch)
		var err error
		if w.table.judge(n) {
			w.giveUp()
		}
		if w.table.off {
			long, err = w.insertWords(keys[:n], long, words)
		} else {
			long = w.load(keys[:n], long, words)
			err = w.addBatch(n)
		}
		if err != nil {
			return err
		}
		keys, words = keys[n:], words[n:]
	}
	w.batch.long = nil
	return nil
}

// insertWords adds words to the buffer that no slots stand for. It returns the
// long keys that are left.
func (w *Writer) insertWords(keys [][16]byte, long [][]byte, words []uint64) ([][]byte, error) {
	var value [wordSize]byte
	for i := range keys {
		key := keys[i][:]
		if n := key[whole]; n <= whole {
			key = key[:n]
			w.stats.Bytes += wordSize + int64(n)
		} else {
			key, long = long[0], long[1:]
			w.stats.Bytes += wordSize
		}
		binary.LittleEndian.PutUint64(value[:], words[i])
		if err := w.insert(key, value[:], wordSize); err != nil {
			return nil, err
		}
	}
	return long, nil
}

// load makes a batch of words that have the given keys, and returns the long ones
// that are left.
func (w *Writer) load(keys [][16]byte, long [][]byte, words []uint64) [][]byte {
	b, bytes, longs := w.batch, 0, 0
	h := &w.table.hasher
	for i := range keys {
		s := &b.slots[i&(maxBatch-1)]
		s.word = words[i]
		if p := probeOfCell(&keys[i]); !p.long() {
			s.probe, s.hash = p, h.short(p)
			bytes += int(keys[i][whole])
			continue
		}
		s.ref = uint32(longs)
		s.probe, s.hash = probeOf(long[longs]), h.long(long[longs])
		longs++
	}
	w.stats.Bytes += int64(bytes + wordSize*len(keys))
	b.long = long[:longs]
	return long[longs:]
}

// addBatch adds the n words of the batch.
func (w *Writer) addBatch(n int) error {
	batch := w.batch.slots[:n]
	if err := w.ready(); err != nil {
		return err
	}
	w.touchSlots(batch)
	for i := range batch {
		b := &batch[i]
		if s := w.table.known(b); s != nil {
			s.word = w.cfg.Words.Combine(s.word, b.word)
		} else if err := w.addSlot(b); err != nil {
			return err
		}
	}
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

// addSlot adds a word of the batch, whatever its key is.
func (w *Writer) addSlot(b *slot) error {
	key := w.batchKey(b)
	s := w.find(b.probe, b.hash, key)
	if s.ref != 0 {
		s.word = w.cfg.Words.Combine(s.word, b.word)
		return nil
	}
	if err := w.enter(s, b.probe, b.hash, key, noWord[:], b.word); err != nil {
		return err
	}
	return w.ready() // for the next
}

// batchKey returns the key of a word of the batch. It is valid until the next
// call.
func (w *Writer) batchKey(b *slot) []byte {
	if b.long() {
		return w.batch.long[b.ref]
	}
	return b.probe.key(&w.batch.key)
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
