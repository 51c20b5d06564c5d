package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Batch is a set of writes that take effect together or not at all. It is
// bounded by MaxBatch and never split: who has more decides where to cut.
type Batch struct {
	kv   *KV
	txn  *badger.Txn
	size int
	err  error // the first that Put or Delete met
}

// perRecord is what a record takes beyond its key and value: what badger
// allows for, which bounds the number of records as well as their bytes.
const perRecord = 96

// Batch returns an empty batch. It ends with Commit or Discard; until then the
// store does not close.
func (kv *KV) Batch() (*Batch, error) {
	if !kv.gate.enter() {
		return nil, fmt.Errorf("store: %w", ErrClosed)
	}
	return &Batch{kv: kv, txn: kv.db.NewTransaction(true)}, nil
}

// Get returns a copy of the value under key with the batch's own writes
// applied, or ErrNotFound.
func (b *Batch) Get(key []byte) ([]byte, error) { return get(b.txn, key) }

// Put sets the record under key. A value in pieces is stored as one, one after
// the other, so that who puts something before it need not copy it. Key is the
// batch's until that ends; value is copied. An error also fails Commit.
func (b *Batch) Put(key []byte, value ...[]byte) error {
	size := 0
	for _, v := range value {
		size += len(v)
	}
	if size > MaxValue {
		return b.fail(fmt.Errorf("store: record %q has %d bytes, the limit is %d: cut it: %w", key, size, MaxValue, ErrTooLarge))
	}
	if err := b.grow(key, size); err != nil {
		return err
	}
	record := seal(make([]byte, 0, envelopeSize+size), key, value...)
	return b.did(key, b.txn.Set(key, record))
}

// Delete removes the record under key, if there is one. An error also fails
// Commit.
func (b *Batch) Delete(key []byte) error {
	if err := b.grow(key, 0); err != nil {
		return err
	}
	return b.did(key, b.txn.Delete(key))
}

// Size returns how much of MaxBatch the batch has taken.
func (b *Batch) Size() int { return b.size }

// Commit makes the writes visible, all at once. They are on disk after the
// next Sync; until then they survive the process but not the machine. ErrFull
// leaves the batch as it was: Commit may be tried again when there is room.
// After any other result the batch is over.
func (b *Batch) Commit() error {
	if b.txn == nil {
		return errors.New("store: the batch is over")
	}
	if b.err == nil {
		if err := b.kv.space.Room(int64(b.size), b.kv.reserve); err != nil {
			return err
		}
		if err := b.txn.Commit(); err != nil {
			b.err = fmt.Errorf("store: commit to %s: %w", b.kv.dir, err)
		}
	}
	err := b.err
	b.Discard()
	return err
}

// Discard drops the writes. After Commit it does nothing.
func (b *Batch) Discard() {
	if b.txn != nil {
		b.txn.Discard()
		b.txn = nil
		b.kv.gate.leave()
	}
}

func (b *Batch) grow(key []byte, value int) error {
	if b.txn == nil {
		return errors.New("store: the batch is over")
	}
	if err := checkKey(key); err != nil {
		return b.fail(err)
	}
	n := len(key) + value + perRecord
	if b.size+n > MaxBatch {
		return b.fail(fmt.Errorf("store: batch of %d bytes has no room for %d more, the limit is %d: %w", b.size, n, MaxBatch, ErrTooLarge))
	}
	b.size += n
	return nil
}

func (b *Batch) did(key []byte, err error) error {
	if errors.Is(err, badger.ErrTxnTooBig) {
		err = ErrTooLarge
	}
	if err != nil {
		return b.fail(fmt.Errorf("store: write %q: %w", key, err))
	}
	return nil
}

func (b *Batch) fail(err error) error {
	if b.err == nil {
		b.err = err
	}
	return err
}
