package shuffle

import (
	"bytes"
	"errors"
	"iter"
)

// Groups returns the keys in ascending order of their bytes, each once, and
// with each its values, in the order of the map tasks and of the Adds. Keys
// and values are valid until the next of their kind. The values of a key are
// streamed: they are there only until the next key is asked for, and those
// that are not taken are skipped. Groups works once. What it hands out is all
// only if Err returns nil afterwards.
func (r *Reader) Groups() iter.Seq2[[]byte, iter.Seq[[]byte]] {
	return func(yield func([]byte, iter.Seq[[]byte]) bool) {
		if !r.start() {
			return
		}
		g := &group{r: r, m: &r.merge}
		values := g.values // made once, not for each key
		for g.next() {
			if !yield(g.key, values) {
				return
			}
			g.skip()
		}
	}
}

// Pairs returns each key with each of its values, in the order that Groups
// has. Key and value are valid until the next pair. It takes the place of
// Groups, for who does not ask where a key ends.
func (r *Reader) Pairs() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		if !r.start() {
			return
		}
		for m := &r.merge; m.live; {
			c := m.winner()
			r.stats.Records++
			r.stats.Bytes += int64(len(c.key) + len(c.val))
			if !yield(c.key, c.val) {
				return
			}
			if _, err := m.next(); err != nil {
				r.fail(err)
				return
			}
		}
	}
}

// start begins to hand out what there is, unless that is not possible.
func (r *Reader) start() bool {
	if r.err != nil {
		return false
	}
	if r.used || r.closed {
		r.err = errors.New("shuffle: Groups or Pairs works once, and before Close")
		return false
	}
	r.used = true
	if err := r.begin(); err != nil {
		r.fail(err)
		return false
	}
	return true
}

// group is the key that is being handed out.
type group struct {
	r   *Reader
	m   *merger
	key []byte // a copy
	on  bool   // there is more of it
}

// next moves to the next key.
func (g *group) next() bool {
	if g.r.err != nil || !g.m.live {
		return false
	}
	c := g.m.winner()
	g.key = append(g.m.acct.room(g.key[:0], len(c.key)), c.key...)
	g.on = true
	return true
}

// values hands out the values of the key.
func (g *group) values(yield func([]byte) bool) {
	for g.on {
		c := g.m.winner()
		g.r.stats.Records++
		g.r.stats.Bytes += int64(len(c.key) + len(c.val))
		more := yield(c.val)
		g.advance()
		if !more {
			return
		}
	}
}

// skip passes over what is left of the key.
func (g *group) skip() {
	for g.on {
		g.r.stats.Records++
		c := g.m.winner()
		g.r.stats.Bytes += int64(len(c.key) + len(c.val))
		g.advance()
	}
}

// advance moves to the next record and finds out whether it is of the key.
func (g *group) advance() {
	changed, err := g.m.next()
	if err != nil {
		g.on = false
		g.r.fail(err)
		return
	}
	g.on = g.m.live && (!changed || bytes.Equal(g.m.winner().key, g.key))
}
