package membership

import (
	"cmp"
	"slices"
)

// A table holds the lives that gossip believes alive. Of several lives of one
// ID the latest is the member; the others are remembered, because they may be
// all that is left when it dies. Every node that sees the same lives thus
// names the same members.
type table struct {
	lives  map[string][]Member // by ID, latest first
	sorted []Member            // the members by ID, nil if out of date
}

// put records that life m is alive and as m says, and returns what changed for
// those who watch.
func (t *table) put(m Member) []Event {
	lives := t.lives[m.ID]
	i, known := slices.BinarySearchFunc(lives, m.Incarnation, later)
	if known && lives[i].same(m) {
		return nil
	}
	t.sorted = nil
	switch {
	case known:
		lives[i] = m
	default:
		if t.lives == nil {
			t.lives = map[string][]Member{}
		}
		t.lives[m.ID] = slices.Insert(lives, i, m)
	}
	switch {
	case i > 0:
		return nil
	case known:
		return []Event{{Changed, m}}
	case len(lives) > 0:
		return []Event{{Left, t.lives[m.ID][1]}, {Joined, m}}
	}
	return []Event{{Joined, m}}
}

// drop records that a life is over.
func (t *table) drop(id string, incarnation uint64) []Event {
	lives := t.lives[id]
	i, known := slices.BinarySearchFunc(lives, incarnation, later)
	if !known {
		return nil
	}
	t.sorted = nil
	gone := lives[i]
	lives = slices.Delete(lives, i, i+1)
	if len(lives) == 0 {
		delete(t.lives, id)
		return []Event{{Left, gone}}
	}
	t.lives[id] = lives
	if i > 0 {
		return nil
	}
	return []Event{{Left, gone}, {Joined, lives[0]}}
}

// member returns the member with id.
func (t *table) member(id string) (Member, bool) {
	if lives := t.lives[id]; len(lives) > 0 {
		return lives[0], true
	}
	return Member{}, false
}

// members returns all members by ID. The slice is the table's.
func (t *table) members() []Member {
	if t.sorted == nil {
		t.sorted = make([]Member, 0, len(t.lives))
		for _, lives := range t.lives {
			t.sorted = append(t.sorted, lives[0])
		}
		slices.SortFunc(t.sorted, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	}
	return t.sorted
}

// later orders lives from the latest to the first.
func later(m Member, incarnation uint64) int { return cmp.Compare(incarnation, m.Incarnation) }
