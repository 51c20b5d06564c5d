package state

import (
	"bytes"
	"iter"
	"sync"

	"github.com/musterhq/muster/internal/store"
)

// What leaves an index at its front leaves traces there that a reader has to
// pass, until the store has cleared them away: so many that a reader who begins
// at the front each time would soon do nothing else. So it is remembered, in
// memory, where an index begins. That is known only if nothing was put there
// meanwhile.

// fronts remembers where some indexes begin, each named by the prefix of its
// keys.
type fronts struct {
	mu    sync.Mutex
	epoch uint64            // of the reader that came last; guarded by mu
	at    map[string]*front // guarded by mu
}

// front is where an index begins.
type front struct {
	from  []byte // nothing is before it
	since uint64 // the epoch in which it was made
	low   []byte // the first of what was put there in an epoch
	lowIn uint64 // that epoch
}

// maxFronts bounds how many are remembered.
const maxFronts = 10_000

// open begins an epoch. It is called before the reader takes a view of the
// store.
func (f *fronts) open() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch++
	return f.epoch
}

// scan yields what a view has of an index, for a reader of an epoch, and remembers
// where that begins: behind all of it, if there is nothing.
func (f *fronts) scan(v *store.Snapshot, epoch uint64, prefix []byte) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		start := f.start(prefix)
		if !bytes.HasPrefix(start, prefix) {
			return
		}
		first := true
		for p, err := range v.ScanFrom(prefix, start) {
			if first && err == nil {
				f.found(epoch, prefix, bytes.Clone(p.Key))
			}
			if first = false; !yield(p, err) {
				return
			}
		}
		if first {
			f.found(epoch, prefix, behind(prefix))
		}
	}
}

// behind returns what comes behind all that begins with a prefix.
func behind(prefix []byte) []byte {
	key := bytes.Clone(prefix)
	key[len(key)-1]++
	return key
}

// start returns where to begin with an index.
func (f *fronts) start(prefix []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.at[string(prefix)]; e != nil && e.from != nil {
		return e.from
	}
	return prefix
}

// found says that a reader of an epoch found key as the first of an index.
func (f *fronts) found(epoch uint64, prefix, key []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if epoch != f.epoch {
		return
	}
	e := f.at[string(prefix)]
	if e == nil { // what was put there in this epoch is not known
		if f.at == nil || len(f.at) >= maxFronts {
			f.at = map[string]*front{}
		}
		f.at[string(prefix)] = &front{since: epoch}
		return
	}
	if e.since == epoch {
		return
	}
	if e.lowIn == epoch && bytes.Compare(e.low, key) < 0 {
		key = e.low
	}
	if bytes.Compare(key, e.from) > 0 {
		e.from = key
	}
}

// put says that key is in an index now.
func (f *fronts) put(prefix, key []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.at[string(prefix)]
	if e == nil {
		return
	}
	if e.lowIn != f.epoch || bytes.Compare(key, e.low) < 0 {
		e.low, e.lowIn = key, f.epoch
	}
	if bytes.Compare(key, e.from) < 0 {
		e.from = key
	}
}

// forget forgets all, where the store is another.
func (f *fronts) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = nil
	f.epoch++
}
