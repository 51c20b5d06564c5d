package worker

import "github.com/musterhq/muster/pkg/job"

// taken is a set of attempts of one run and epoch. Tasks come, and end, mostly in
// the order of their numbers, so it keeps a bit for each in pages of neighbours:
// what is added or removed is mostly on the page of the one before it.
type taken struct {
	n     int
	pages map[pageKey]*page // nil while there is no page but last
	key   pageKey           // of last
	last  *page             // the page that was used last, or nil
	first page              // the page that is used first, and for nothing else
	begun bool              // it is in use, or was
}

// pageKey names the attempts that share a page: the nth at tasks of a kind whose
// numbers differ in the last bits only.
type pageKey struct {
	kind job.Kind
	n    int
	from int
}

// pageTasks is how many attempts share a page.
const (
	pageTasks = 1 << pageBits
	pageBits  = 9
)

type page struct {
	bits [pageTasks / 64]uint64
	n    int
}

// page returns the page that an attempt belongs to, or nil, and its key.
func (t *taken) page(id job.TaskID, n int) (*page, pageKey) {
	key := pageKey{id.Kind, n, id.N >> pageBits}
	if t.last == nil || key != t.key {
		if t.pages == nil {
			return nil, key // last stays what it is
		}
		t.key, t.last = key, t.pages[key]
	}
	return t.last, key
}

// add puts in the nth attempt at a task.
func (t *taken) add(id job.TaskID, n int) {
	p, key := t.page(id, n)
	if p == nil {
		if p = &t.first; t.begun {
			p = new(page)
		}
		if t.begun = true; t.pages == nil && t.last != nil {
			t.pages = map[pageKey]*page{t.key: t.last}
		}
		if t.pages != nil {
			t.pages[key] = p
		}
		t.key, t.last = key, p
	}
	if word, bit := at(id); p.bits[word]&bit == 0 {
		p.bits[word] |= bit
		p.n++
		t.n++
	}
}

// has reports whether the nth attempt at a task is in it.
func (t *taken) has(id job.TaskID, n int) bool {
	p, _ := t.page(id, n)
	word, bit := at(id)
	return p != nil && p.bits[word]&bit != 0
}

// remove takes out the nth attempt at a task, if it is in it.
func (t *taken) remove(id job.TaskID, n int) {
	p, key := t.page(id, n)
	word, bit := at(id)
	if p == nil || p.bits[word]&bit == 0 {
		return
	}
	p.bits[word] &^= bit
	t.n--
	if p.n--; p.n == 0 {
		delete(t.pages, key)
		t.last = nil
	}
}

// at returns where on its page a task has its bit.
func at(id job.TaskID) (word int, bit uint64) {
	n := id.N & (pageTasks - 1)
	return n / 64, 1 << (n % 64)
}
