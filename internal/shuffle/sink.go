package shuffle

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
)

// extent is where the records of one partition are in a file.
type extent struct {
	off, size int64 // of its blocks
	records   int64
}

// sink writes segments to a file, one after another: the sorted records of one
// partition, in blocks. A record is
//
//	shared uvarint | rest uvarint | value uvarint | key bytes | value bytes
//
// where shared is how many bytes the key has in common with that of the record
// before it in the block, and rest how many follow.
type sink struct {
	f    *os.File
	acct *account
	size int // of a block, raw

	raw  []byte // the block that is being filled
	last []byte // the key that was added last
	out  []byte // blocks that are not yet written
	off  int64  // where out ends in the file

	thrift thrift
	part   uint32
	blocks uint32
	seg    extent
}

// flushAt is how many bytes of blocks are written at once.
const flushAt = 64 << 10

func newSink(a *account) *sink { return &sink{acct: a, size: a.b.sizes.block} }

// begin starts a file, of which head is the beginning.
func (s *sink) begin(f *os.File, head []byte) {
	s.f, s.off = f, int64(len(head))
	s.out = append(s.acct.room(s.out[:0], len(head)), head...)
}

// resume goes on with a file that was written up to off.
func (s *sink) resume(f *os.File, off int64) {
	s.f, s.off, s.out = f, off, s.out[:0]
}

// segment starts the segment of a partition.
func (s *sink) segment(part int) {
	s.part, s.blocks = uint32(part), 0
	s.seg = extent{off: s.off}
}

// add appends a record to the segment.
func (s *sink) add(key, value []byte) error {
	need := len(key) + len(value) + 3*binary.MaxVarintLen32
	if len(s.raw) > 0 && len(s.raw)+need > 2*s.size {
		if err := s.closeBlock(); err != nil {
			return err
		}
	}
	shared := 0
	if len(s.raw) > 0 {
		shared = common(s.last, key)
	}
	rest := key[shared:]
	b := s.raw
	if cap(b)-len(b) < need {
		b = s.acct.room(b, need)
	}
	b = binary.AppendUvarint(b, uint64(shared))
	b = binary.AppendUvarint(b, uint64(len(rest)))
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = append(b, rest...)
	s.raw = append(b, value...)
	if len(rest) > 0 || shared < len(s.last) {
		s.last = append(s.acct.room(s.last[:shared], len(rest)), rest...)
	}
	s.seg.records++
	if len(s.raw) >= s.size {
		return s.closeBlock()
	}
	return nil
}

// closeBlock encodes the block.
func (s *sink) closeBlock() error {
	if len(s.raw) == 0 {
		return nil
	}
	room := blockRoom(len(s.raw))
	if len(s.out) > 0 && len(s.out)+room > max(flushAt, cap(s.out)) {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.out = s.acct.room(s.out, room)
	n := len(s.out)
	try := s.thrift.try()
	s.out = appendBlock(s.out, s.raw, s.part, s.blocks, try)
	if n = len(s.out) - n; try {
		s.thrift.tried(n-blockHead < len(s.raw))
	}
	s.off += int64(n)
	s.seg.size += int64(n)
	s.blocks++
	s.raw = s.acct.trim(s.raw, 4*s.size)
	if len(s.out) >= min(flushAt, 2*s.size) {
		return s.flush()
	}
	return nil
}

// end closes the segment and returns where it is.
func (s *sink) end() (extent, error) {
	err := s.closeBlock()
	return s.seg, err
}

// flush writes what is encoded.
func (s *sink) flush() error {
	_, err := s.f.Write(s.out)
	s.out = s.acct.trim(s.out, 2*blockRoom(2*s.size)+flushAt)
	if err != nil {
		return fmt.Errorf("shuffle: %w", err)
	}
	return nil
}

// finish writes the rest and tail, and closes the file.
func (s *sink) finish(tail []byte) error {
	err := s.flush()
	if err == nil && len(tail) > 0 {
		if _, err = s.f.Write(tail); err != nil {
			err = fmt.Errorf("shuffle: %w", err)
		}
		s.off += int64(len(tail))
	}
	return closing(s.f, err)
}

// drop gives the buffers back.
func (s *sink) drop() {
	s.raw, s.last, s.out = s.acct.free(s.raw), s.acct.free(s.last), s.acct.free(s.out)
}

// closing closes f and returns the first error.
func closing(f *os.File, err error) error {
	if e := f.Close(); err == nil && e != nil {
		err = fmt.Errorf("shuffle: %w", e)
	}
	return err
}

// common returns how many bytes a and b have in common from the start.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)>>3
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
