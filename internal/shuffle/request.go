package shuffle

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/musterhq/muster/pkg/job"
)

// method is what map outputs are fetched by. The request names a partition and
// map outputs of one run:
//
//	version u8 | run: length u16, bytes | partition u32 | count u32 | for each: task u64, epoch u64, attempt u64
//
// The answer has frames for each map output, in that order, and one that says
// that it is complete. Of a map output that is there, there is a frame for each
// layer: a header, and as many bytes of blocks as that says.
const method = "shuffle.fetch"

const (
	maxWanted   = 1024 // map outputs in a request
	wantedSize  = 24
	requestHead = 1 + 2 + 4 + 4 // without the run's ID
	frameSize   = 26
)

// request is a parsed request.
type request struct {
	run  job.RunID
	part int
	ids  []job.MapOutputID
}

// appendRequest appends the request for a partition of map outputs.
func appendRequest(dst []byte, run job.RunID, part int, all []*wanted) []byte {
	dst = append(dst, version)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(run)))
	dst = append(dst, run...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(part))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(all)))
	for _, w := range all {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(w.id.Task))
		dst = binary.LittleEndian.AppendUint64(dst, w.id.Epoch)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(w.id.Attempt))
	}
	return dst
}

func parseRequest(b []byte) (request, error) {
	var r request
	if len(b) < requestHead {
		return r, fmt.Errorf("shuffle: request of %d bytes: want at least %d", len(b), requestHead)
	}
	if b[0] != version {
		return r, fmt.Errorf("shuffle: request of version %d: this node speaks %d", b[0], version)
	}
	n := int(binary.LittleEndian.Uint16(b[1:]))
	if n > maxRunID || len(b) < requestHead+n {
		return r, fmt.Errorf("shuffle: request with a run ID of %d bytes in %d", n, len(b))
	}
	r.run = job.RunID(b[3 : 3+n])
	b = b[3+n:]
	part, count := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	b = b[8:]
	if part >= maxParts || count > maxWanted || len(b) != int(count)*wantedSize {
		return r, fmt.Errorf("shuffle: request for %d map outputs of partition %d in %d bytes", count, part, len(b))
	}
	r.part = int(part)
	r.ids = make([]job.MapOutputID, count)
	for i := range r.ids {
		e := b[i*wantedSize:]
		r.ids[i] = job.MapOutputID{
			Task:    int(binary.LittleEndian.Uint64(e)),
			Epoch:   binary.LittleEndian.Uint64(e[8:]),
			Attempt: int(binary.LittleEndian.Uint64(e[16:])),
		}
	}
	return r, nil
}

// The kinds of frame.
const (
	frameHere    = 1 // blocks follow
	frameMissing = 2 // the node does not hold the map output, or it is damaged
	frameEnd     = 3 // the answer is complete
)

// frame is the header of a frame:
//
//	kind u8 | number u32 | more u8 | size u64 | records u64 | crc32c u32
type frame struct {
	kind   byte
	number uint32 // of the map output in the request; for the end, how many there were
	more   byte   // layers of the map output that come after this one
	seg    extent // without its offset
}

func (f frame) append(dst []byte) []byte {
	o := len(dst)
	dst = append(dst, f.kind)
	dst = binary.LittleEndian.AppendUint32(dst, f.number)
	dst = append(dst, f.more)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.seg.size))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.seg.records))
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[o:], castagnoli))
}

// parseFrame parses the header of the frame that the given number is due for.
func parseFrame(b []byte, number int) (frame, error) {
	f := frame{
		kind:   b[0],
		number: binary.LittleEndian.Uint32(b[1:]),
		more:   b[5],
		seg: extent{
			size:    int64(binary.LittleEndian.Uint64(b[6:])),
			records: int64(binary.LittleEndian.Uint64(b[14:])),
		},
	}
	switch {
	case crc32.Checksum(b[:22], castagnoli) != binary.LittleEndian.Uint32(b[22:]):
		return f, corrupt("frame's checksum")
	case f.kind < frameHere || f.kind > frameEnd || f.number != uint32(number) || f.more >= maxLayers:
		return f, corrupt("frame of kind %d, number %d: want number %d", f.kind, f.number, number)
	}
	return f, f.seg.check()
}
