package shuffle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"
)

// Limits of what a record may be, and with it a block.
const (
	maxKey   = 1 << 20
	maxValue = 64 << 20
	maxRaw   = maxKey + maxValue + 1<<10
)

// A block is a header and a payload. The header is the length of the block's
// records, the length of the payload that holds them, a checksum and how the
// payload is encoded:
//
//	raw u32 | enc u32 | crc32c u32 | codec u8 | payload
//
// The checksum covers the other fields, the payload, and the block's place:
// its partition and its number in the segment. So a block that is sound but
// not the one that was asked for is noticed too.
const blockHead = 13

// The ways to encode a payload.
const (
	codecNone = 0
	codecS2   = 1
)

// errCorrupt is wrapped by whatever says that bytes are not what was written.
var errCorrupt = errors.New("damaged")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errCorrupt, fmt.Sprintf(format, args...))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type blockHeader struct {
	raw, enc, sum uint32
	codec         byte
}

// appendBlock appends the block number n of partition part that holds raw,
// which it tries to compress if it is asked to. The caller has seen to it that
// dst has room for blockRoom(len(raw)).
func appendBlock(dst, raw []byte, part, n uint32, compress bool) []byte {
	o := len(dst)
	dst = dst[:o+blockHead]
	room := dst[o+blockHead : o+blockHead+s2.MaxEncodedLen(len(raw))]
	codec, enc := byte(codecNone), raw
	if compress {
		codec, enc = codecS2, s2.Encode(room, raw)
	}
	if codec == codecNone || !worthwhile(len(raw), len(enc)) {
		codec, enc = codecNone, room[:copy(room, raw)]
	}
	h := dst[o:]
	binary.LittleEndian.PutUint32(h, uint32(len(raw)))
	binary.LittleEndian.PutUint32(h[4:], uint32(len(enc)))
	h[12] = codec
	binary.LittleEndian.PutUint32(h[8:], checksum(h, enc, part, n))
	return dst[:o+blockHead+len(enc)]
}

// worthwhile reports whether a payload of enc bytes for raw is worth the
// decoding.
func worthwhile(raw, enc int) bool { return enc <= raw-raw/4 }

// thrift decides which blocks are tried to be compressed. When it was in vain
// it lets some go by, then twice as many, up to a limit: data that does not
// compress costs next to nothing, and data that comes to compress is noticed.
type thrift struct{ wait, skip int }

const mostSkipped = 63

func (t *thrift) try() bool {
	if t.skip > 0 {
		t.skip--
		return false
	}
	return true
}

// tried notes how a try came out.
func (t *thrift) tried(worth bool) {
	if worth {
		t.wait = 0
		return
	}
	t.wait = min(2*t.wait+1, mostSkipped)
	t.skip = t.wait
}

func blockRoom(raw int) int { return blockHead + max(raw, s2.MaxEncodedLen(raw)) }

// checksum is that of the block with header h and the given payload and place.
func checksum(h, payload []byte, part, n uint32) uint32 {
	var b [17]byte
	copy(b[:8], h[:8])
	b[8] = h[12]
	binary.LittleEndian.PutUint32(b[9:], part)
	binary.LittleEndian.PutUint32(b[13:], n)
	return crc32.Update(crc32.Update(0, castagnoli, b[:]), castagnoli, payload)
}

// parseBlock checks the header of a block of which at most room bytes follow.
func parseBlock(h []byte, room int64) (blockHeader, error) {
	b := blockHeader{
		raw:   binary.LittleEndian.Uint32(h),
		enc:   binary.LittleEndian.Uint32(h[4:]),
		sum:   binary.LittleEndian.Uint32(h[8:]),
		codec: h[12],
	}
	switch {
	case b.raw == 0 || b.raw > maxRaw:
		return b, corrupt("block of %d bytes: want 1 to %d", b.raw, maxRaw)
	case b.enc == 0 || b.enc > b.raw:
		return b, corrupt("payload of %d bytes for a block of %d", b.enc, b.raw)
	case int64(b.enc) > room:
		return b, corrupt("payload of %d bytes where %d are left", b.enc, room)
	case b.codec == codecNone && b.enc != b.raw, b.codec > codecS2:
		return b, corrupt("codec %d", b.codec)
	}
	return b, nil
}

// decode returns what the payload holds: the payload itself if it is not
// encoded, else buf, which has the length b.raw. The checksum is right.
func (b blockHeader) decode(buf, payload []byte) ([]byte, error) {
	if b.codec == codecNone {
		return payload, nil
	}
	if n, err := s2.DecodedLen(payload); err != nil || n != int(b.raw) {
		return nil, corrupt("payload that holds %d bytes in a block of %d", n, b.raw)
	}
	out, err := s2.Decode(buf, payload)
	if err != nil {
		return nil, corrupt("payload: %v", err)
	}
	return out, nil
}
