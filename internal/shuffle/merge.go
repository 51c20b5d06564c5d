package shuffle

import (
	"bytes"
	"math/bits"
	"os"

	"github.com/musterhq/muster/pkg/job"
)

// segment is sorted records of one partition: in memory, in an open file, or
// in a file that is opened when it is read.
type segment struct {
	extent
	part int
	mem  []byte   // the blocks, or
	file *os.File // where they are, or
	path string   // what to open, or
	run  *run     // what to open id of; set for all that is read from a map output
	id   job.MapOutputID

	layer int // of the map output
}

// failure is an error in reading a segment.
type failure struct {
	seg *segment
	err error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// merger merges segments into one sequence of records, by key and then by the
// order of the segments. It is a tree of losers: each inner node holds the
// segment that lost there, so that the next record costs one comparison per
// level.
type merger struct {
	acct  *account
	alive func() error // asked before each block

	cs   []cursor
	tree []player // tree[0] is the winner
	enc  []byte   // the payload of a block from a file
	head [blockHead]byte
	live bool // the winner has a record

	touched byte // of values, which need not be waited for
}

// player is a cursor in the tree, with the prefix that most games are decided
// by: who plays need not look at the cursors.
type player struct {
	prefix uint64
	cursor int32 // negative if there is none yet
}

// cursor reads a segment.
type cursor struct {
	prefix uint64
	key    []byte // a copy
	val    []byte // in the block
	rest   []byte // of the block
	left   int64  // records not yet read
	done   bool

	seg   *segment
	pos   int64  // of the next block
	block uint32 // its number
	owned bool   // the merger opened seg's file
	raw   []byte // a buffer for the block, if it must be decoded or read
}

// start begins the merge of segs and moves to the first record.
func (m *merger) start(segs []*segment) error {
	if cap(m.cs) < len(segs) {
		m.cs = append(m.cs[:cap(m.cs)], make([]cursor, len(segs)-cap(m.cs))...)
		m.tree = make([]player, cap(m.cs))
	}
	m.cs, m.tree = m.cs[:len(segs)], m.tree[:len(segs)]
	for i, seg := range segs {
		c := &m.cs[i]
		*c = cursor{seg: seg, left: seg.records, key: c.key[:0], raw: c.raw}
		if _, err := m.step(c); err != nil {
			return err
		}
		m.tree[i].cursor = -1
	}
	for i := len(segs) - 1; i >= 0; i-- {
		m.replay(int32(i))
	}
	m.live = len(segs) > 0 && !m.winner().done
	return nil
}

// winner is the cursor whose record is the current one. There is one while
// live is true.
func (m *merger) winner() *cursor { return &m.cs[m.tree[0].cursor] }

// next moves to the next record. Changed is false only if its key is the same.
func (m *merger) next() (changed bool, err error) {
	c := m.winner()
	same, err := m.step(c)
	if err != nil {
		m.live = false
		return true, err
	}
	if !same { // who won with a key wins with it again
		m.replay(m.tree[0].cursor)
		m.live = !m.winner().done
	}
	return !same, nil
}

// replay lets cursor i play its way up to the root. Who wins a game is hard to
// guess, so it is told by arithmetic and not by a branch, unless the prefixes
// are equal.
func (m *merger) replay(i int32) {
	p := player{m.cs[i].prefix, i}
	for t := (int(i) + len(m.cs)) / 2; t > 0; t /= 2 {
		o := &m.tree[t]
		if o.cursor < 0 {
			*o = p
			return
		}
		_, less := bits.Sub64(o.prefix, p.prefix, 0)
		if o.prefix == p.prefix && m.before(o.cursor, p.cursor) {
			less = 1
		}
		prefixes := (o.prefix ^ p.prefix) & -less
		cursors := (o.cursor ^ p.cursor) & -int32(less)
		o.prefix, p.prefix = o.prefix^prefixes, p.prefix^prefixes
		o.cursor, p.cursor = o.cursor^cursors, p.cursor^cursors
	}
	m.tree[0] = p
}

// before decides between cursors whose prefixes are equal.
func (m *merger) before(i, j int32) bool {
	a, b := &m.cs[i], &m.cs[j]
	if a.done || b.done {
		return b.done && (!a.done || i < j)
	}
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c < 0
	}
	return i < j
}

// step moves c to its next record and reports whether the key is the same.
func (m *merger) step(c *cursor) (same bool, err error) {
	first := false
	if len(c.rest) == 0 {
		if c.left == 0 {
			return false, m.finish(c)
		}
		if err := m.load(c); err != nil {
			return false, &failure{c.seg, err}
		}
		first = true
	}
	shared, rest, size, b, ok := cutHead(c.rest)
	if !ok || rest > len(b) || size > len(b)-rest || shared+rest > maxKey || first && shared > 0 || shared > len(c.key) || c.left == 0 {
		return false, &failure{c.seg, corrupt("record in block %d of partition %d", c.block-1, c.seg.part)}
	}
	if first {
		same = c.left < c.seg.records && bytes.Equal(c.key, b[:rest])
	} else {
		same = rest == 0 && shared == len(c.key)
	}
	if !same {
		had := c.prefix
		c.prefix = prefixAfter(had, shared, b[:rest])
		if c.prefix < had || c.prefix == had && bytes.Compare(b[:rest], c.key[shared:]) < 0 {
			return false, &failure{c.seg, corrupt("order of keys in block %d of partition %d", c.block-1, c.seg.part)}
		}
		c.key = append(m.acct.room(c.key[:shared], rest), b[:rest]...)
	}
	c.val = b[rest : rest+size : rest+size]
	if c.rest = b[rest+size:]; size > 0 {
		// It will be wanted when this cursor wins. Until then there is time to
		// bring it into the cache.
		m.touched += c.val[0] + c.val[size-1]
	}
	c.left--
	return same, nil
}

// load reads the next block.
func (m *merger) load(c *cursor) error {
	if err := m.alive(); err != nil {
		return err
	}
	seg := c.seg
	if c.pos == 0 && seg.mem == nil && seg.file == nil {
		if err := m.open(c); err != nil {
			return err
		}
	}
	left := seg.size - c.pos
	if left < blockHead {
		return corrupt("partition %d ends %d records early", seg.part, c.left)
	}
	head := m.head[:]
	if seg.mem != nil {
		head = seg.mem[c.pos : c.pos+blockHead]
	} else if err := readAt(seg.file, head, seg.off+c.pos); err != nil {
		return err
	}
	b, err := parseBlock(head, left-blockHead)
	if err != nil {
		return err
	}
	payload, err := m.payload(c, b)
	if err != nil {
		return err
	}
	if checksum(head, payload, uint32(seg.part), c.block) != b.sum {
		return corrupt("checksum of block %d of partition %d", c.block, seg.part)
	}
	if b.codec != codecNone {
		c.raw = m.buffer(c.raw, int(b.raw))
	}
	if c.rest, err = b.decode(c.raw, payload); err != nil {
		return err
	}
	c.pos += blockHead + int64(b.enc)
	c.block++
	return nil
}

// payload returns the payload of the block b. What is not encoded is read to
// where it stays.
func (m *merger) payload(c *cursor, b blockHeader) ([]byte, error) {
	from := c.pos + blockHead
	if c.seg.mem != nil {
		return c.seg.mem[from : from+int64(b.enc)], nil
	}
	var buf []byte
	if b.codec == codecNone {
		c.raw = m.buffer(c.raw, int(b.enc))
		buf = c.raw
	} else {
		m.enc = m.buffer(m.enc, int(b.enc))
		buf = m.enc
	}
	return buf, readAt(c.seg.file, buf, c.seg.off+from)
}

// buffer returns buf with length n.
func (m *merger) buffer(buf []byte, n int) []byte {
	if n > cap(buf) || cap(buf) > 4*m.acct.b.sizes.block && n < cap(buf)/4 {
		m.acct.free(buf)
		c := n + n/16
		m.acct.force(int64(c))
		buf = make([]byte, c)
	}
	return buf[:n]
}

// open opens the file that c's segment is in.
func (m *merger) open(c *cursor) error {
	if c.seg.path != "" {
		f, err := os.Open(c.seg.path)
		c.seg.file, c.owned = f, err == nil
		return err
	}
	f, layers, err := openOutput(c.seg.run, c.seg.id, c.seg.part)
	if err != nil {
		return err
	}
	if c.seg.layer >= len(layers) || layers[c.seg.layer] != c.seg.extent {
		f.Close()
		return corrupt("map output changed while it was read")
	}
	c.seg.file, c.owned = f, true
	return nil
}

// finish ends the reading of c.
func (m *merger) finish(c *cursor) error {
	if c.pos != c.seg.size {
		return &failure{c.seg, corrupt("partition %d has more than its %d records", c.seg.part, c.seg.records)}
	}
	c.done, c.prefix = true, ^uint64(0)
	m.release(c)
	return nil
}

// release closes what open opened, and gives back the segment's memory.
func (m *merger) release(c *cursor) {
	if c.owned {
		c.seg.file.Close()
		c.seg.file, c.owned = nil, false
	}
	if c.seg != nil && c.seg.mem != nil {
		c.seg.mem = m.acct.free(c.seg.mem)
		c.rest, c.val = nil, nil
	}
}

// close gives everything back. What is left of the segments can't be read.
func (m *merger) close() {
	for i := range m.cs[:cap(m.cs)] {
		c := &m.cs[:cap(m.cs)][i]
		if i < len(m.cs) {
			m.release(c)
		}
		c.key, c.raw = m.acct.free(c.key), m.acct.free(c.raw)
	}
	m.enc = m.acct.free(m.enc)
	m.cs, m.tree, m.live = nil, nil, false
}
