package shuffle

import "sync"

// budget is the memory that all writers and readers of a node share. Each has
// an account; an account gets at most the share that leaves as much for each
// of the others and for one to come. A refusal is not an error: whoever gets
// one goes to disk.
type budget struct {
	limit int64
	sizes sizes

	mu       sync.Mutex
	used     int64 // guarded by mu
	accounts int64 // guarded by mu
}

// sizes are the sizes of buffers that suit a budget.
type sizes struct {
	block     int // raw bytes at which a block is closed
	firstSlab int // of an arena; the next ones are larger
	lastSlab  int // of an arena
	refs      int // records that a writer first has room for
}

func newBudget(limit int64) *budget {
	size := func(share, least, most int64) int { return int(min(max(limit/share, least), most)) }
	return &budget{limit: limit, sizes: sizes{
		block:     size(512, 1<<10, 32<<10),
		firstSlab: size(256, 1<<10, 32<<10),
		lastSlab:  size(64, 1<<10, maxSlab),
		refs:      size(1<<14, 16, 512),
	}}
}

// account is what one writer or reader holds of a budget.
type account struct {
	b    *budget
	held int64 // guarded by b.mu
	done bool  // guarded by b.mu
}

func (b *budget) account() *account {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accounts++
	return &account{b: b}
}

func (b *budget) shareLocked() int64 { return b.limit / (b.accounts + 1) }

// share is how much an account may hold now.
func (a *account) share() int64 {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	return a.b.shareLocked()
}

// grow takes n bytes, or none and returns false, so that the account holds at
// most 1/part of its share.
func (a *account) grow(n, part int64) bool {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	if a.done || a.held+n > a.b.shareLocked()/part || a.b.used+n > a.b.limit {
		return false
	}
	a.held += n
	a.b.used += n
	return true
}

// force takes n bytes in any case. It is for what no progress is possible
// without.
func (a *account) force(n int64) {
	if n == 0 { // as for most pairs that are combined: no reason to meet the others
		return
	}
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	if a.done {
		return
	}
	a.held += n
	a.b.used += n
}

// shrink gives n bytes back.
func (a *account) shrink(n int64) { a.force(-n) }

// excess is how much more than its share the account holds.
func (a *account) excess() int64 {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	return max(0, a.held-a.b.shareLocked())
}

// close gives everything back. Closing twice does nothing.
func (a *account) close() {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	if a.done {
		return
	}
	a.done = true
	a.b.used -= a.held
	a.b.accounts--
	a.held = 0
}

// room returns buf with room for n more bytes, which are counted before they
// are allocated.
func (a *account) room(buf []byte, n int) []byte {
	if cap(buf)-len(buf) >= n {
		return buf
	}
	c := max(len(buf)+n, 2*cap(buf), 64)
	if len(buf)+n > 1<<20 {
		c = len(buf) + n // what is large is rarely followed by something larger
	}
	a.force(int64(c - cap(buf)))
	return append(make([]byte, 0, c), buf...)
}

// trim returns buf empty, or nothing if it has become larger than most bytes.
func (a *account) trim(buf []byte, most int) []byte {
	if cap(buf) <= most {
		return buf[:0]
	}
	a.shrink(int64(cap(buf)))
	return nil
}

// free gives back what room took for buf.
func (a *account) free(buf []byte) []byte {
	a.shrink(int64(cap(buf)))
	return nil
}
