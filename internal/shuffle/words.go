package shuffle

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Words combines values that fit a machine word, as counts and sums do. They
// are bytes only where they leave the Writer's buffer.
type Words struct {
	// Combine is the Combine of the Writer, of words.
	Combine func(a, b uint64) uint64
	// Append appends the value that a word stands for to dst.
	Append func(dst []byte, word uint64) []byte
}

const wordSize = 8

// AddWord takes a pair whose value is a word; see Words. It copies key. After
// an error the Writer is of no more use, and Commit returns the same error.
func (w *Writer) AddWord(key []byte, word uint64) error {
	if w.err == nil {
		w.err = w.addWord(key, word)
	}
	return w.err
}

func (w *Writer) addWord(key []byte, word uint64) error {
	if err := w.takes(key); err != nil {
		return err
	}
	words := w.cfg.Words
	if words == nil {
		return errors.New("shuffle: AddWord to a Writer without Words")
	}
	w.stats.Records++
	w.stats.Bytes += int64(len(key) + wordSize)
	if w.table.judge() {
		w.giveUp()
	}
	if w.table.off {
		return w.insertWord(key, word)
	}
	if err := w.ready(); err != nil {
		return err
	}
	pr := probeOf(key)
	h := w.table.hasher.hash(pr, key)
	s := w.find(pr, h, key)
	if s.ref != 0 {
		s.word = words.Combine(s.word, word)
		return nil
	}
	var room [wordSize]byte
	return w.enter(s, pr, h, key, room[:], word)
}

// insertWord adds a record to the buffer that no slot stands for.
func (w *Writer) insertWord(key []byte, word uint64) error {
	var value [wordSize]byte
	binary.LittleEndian.PutUint64(value[:], word)
	return w.insert(key, value[:], wordSize)
}

// settle moves the words that are in the table to their records.
func (w *Writer) settle() {
	if w.cfg.Words == nil || w.table.used == 0 {
		return
	}
	for i := range w.table.slots {
		if s := &w.table.slots[i]; s.ref != 0 {
			_, value := w.arena.record(w.refs[s.ref-1].at)
			binary.LittleEndian.PutUint64(value, s.word)
		}
	}
}

// passWords passes sorted records on, those of a key as one.
func (w *Writer) passWords(sorted []ref) error {
	words := w.cfg.Words
	for i := 0; i < len(sorted); {
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
