// Package storetest is what a store promises, as tests that any
// implementation has to pass.
//
// It is for the tests of internal/store, and for whoever puts something else
// in the place of one of its forms: the suite is the contract.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/musterhq/muster/internal/store"
)

// A Log is what store.Log promises.
type Log interface {
	First() uint64
	Last() uint64
	Append(entries []store.Entry) error
	Get(index uint64) ([]byte, error)
	DeleteRange(low, high uint64) error
	Set(key, value []byte) error
	Value(key []byte) ([]byte, error)
	SetUint64(key []byte, n uint64) error
	Uint64(key []byte) (uint64, error)
	Close() error
}

// A KV is what store.KV promises of reading; writing goes through batches.
type KV interface {
	Get(key []byte) ([]byte, error)
	Scan(prefix []byte) iter.Seq2[store.Pair, error]
	Snapshot() (*store.Snapshot, error)
	Batch() (*store.Batch, error)
	Sync() error
	DropAll() error
	Close() error
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func text(i uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "entry %d.", i), 1+int(i%7)*100)
}

func entries(low, high uint64) []store.Entry {
	var es []store.Entry
	for i := low; i <= high; i++ {
		b := text(i)
		es = append(es, store.Entry{Index: i, Head: b[:3], Data: b[3:]})
	}
	return es
}
