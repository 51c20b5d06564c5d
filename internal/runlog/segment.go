package runlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"os"
	"path/filepath"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// A segment is a file of records behind a few bytes that say what it is:
//
//	4 bytes  length of the payload
//	4 bytes  CRC-32C of the payload
//	         payload: a batch, or how many lines of a run were given up
//
// A segment is written by one life of a store only. What a crash has cut off is
// left as it is.
const (
	segmentMagic = "muster log 1\n"
	recordHead   = 8
	maxRecord    = wire.MaxLogBatch
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is an open file.
type segment struct {
	n      uint32 // its number
	file   *os.File
	path   string
	size   int64 // guarded by Store.mu
	live   int64 // bytes of records that are in the index; guarded by Store.mu
	ours   bool  // written by this life of the store
	synced int64 // how much of it the disk has for sure; guarded by Store.mu
}

func segmentPath(dir string, n uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%08x.runlog", n))
}

func appendRecord(dst, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(payload, castagnoli))
	return append(dst, payload...)
}

// payloadOf returns what a record holds, if that is whole.
func payloadOf(record []byte) ([]byte, error) {
	if len(record) < recordHead {
		return nil, errDamaged
	}
	payload := record[recordHead:]
	if uint32(len(payload)) != binary.BigEndian.Uint32(record) || crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(record[4:]) {
		return nil, errDamaged
	}
	return payload, nil
}

// errDamaged says that a record is not what was written.
var errDamaged = errors.New("runlog: a record is damaged")

// records yields where each whole record of a segment begins, and its payload.
// A damaged one yields an error; behind one whose length makes no sense nothing
// can be found.
func records(b []byte) iter.Seq2[int, recordOrErr] {
	return func(yield func(int, recordOrErr) bool) {
		if len(b) < len(segmentMagic) || string(b[:len(segmentMagic)]) != segmentMagic {
			if len(b) > 0 {
				yield(0, recordOrErr{err: errDamaged})
			}
			return
		}
		for at := len(segmentMagic); at < len(b); {
			rest := b[at:]
			if len(rest) < recordHead {
				yield(at, recordOrErr{err: errDamaged})
				return
			}
			size := int64(binary.BigEndian.Uint32(rest))
			if size == 0 || size > maxRecord || size > int64(len(rest)-recordHead) {
				yield(at, recordOrErr{err: errDamaged})
				return
			}
			end := recordHead + int(size)
			payload, err := payloadOf(rest[:end])
			if !yield(at, recordOrErr{payload, err}) {
				return
			}
			at += end
		}
	}
}

type recordOrErr struct {
	payload []byte
	err     error
}

// lost is how many lines of a run were given up, and the time of the latest.
type lost struct {
	run   job.RunID
	lines uint64
	until int64
}

const lostKind = 2 // a batch begins with its version, 1

func appendLost(dst []byte, l lost) []byte {
	dst = append(dst, lostKind)
	dst = binary.AppendUvarint(dst, l.lines)
	dst = binary.AppendVarint(dst, l.until)
	return append(dst, l.run...)
}

func decodeLost(b []byte) (l lost, ok bool) {
	var n, m int
	if len(b) == 0 || b[0] != lostKind {
		return l, false
	}
	if l.lines, n = binary.Uvarint(b[1:]); n <= 0 {
		return l, false
	}
	if l.until, m = binary.Varint(b[1+n:]); m <= 0 {
		return l, false
	}
	l.run = job.RunID(b[1+n+m:])
	return l, true
}
