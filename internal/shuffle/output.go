package shuffle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"github.com/musterhq/muster/pkg/job"
)

// A map output is a file of one or a few layers, each of which holds pairs that
// were added later than those of the one before:
//
//	header   "mshf" | version u8 | partitions u32 | task u64 | epoch u64 | attempt u64 | run: length u16, bytes | crc32c u32
//	layers   of each the segments of the partitions in turn: blocks
//	index    for each partition, for each layer: offset u64 | size u64 | records u64 | crc32c u32
//	footer   offset of the index u64 | partitions u32 | layers u32 | crc32c u32 | "mshe"
//
// The checksum of an index entry covers its partition and its layer too, so that
// one partition can be read without looking at the others. All numbers are
// little endian.
const (
	magicHead   = "mshf"
	magicFoot   = "mshe"
	version     = 2
	entrySize   = 28
	footerSize  = 24
	maxParts    = 1 << 16
	maxLayers   = 32
	maxSegment  = 1 << 42 // bytes of a partition of one map output
	minRecord   = 3       // bytes of a record, raw
	maxPerBlock = maxRaw / minRecord
)

// appendHeader appends the header of a map output.
func appendHeader(dst []byte, run job.RunID, id job.MapOutputID, parts int) []byte {
	o := len(dst)
	dst = append(dst, magicHead...)
	dst = append(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(parts))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(id.Task))
	dst = binary.LittleEndian.AppendUint64(dst, id.Epoch)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(id.Attempt))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(run)))
	dst = append(dst, run...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[o:], castagnoli))
}

// appendIndex appends the index entry of a partition in a layer.
func appendIndex(dst []byte, part, layer int, e extent) []byte {
	o := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.off))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.size))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.records))
	return binary.LittleEndian.AppendUint32(dst, entrySum(dst[o:], part, layer))
}

func entrySum(b []byte, part, layer int) uint32 {
	var p [8]byte
	binary.LittleEndian.PutUint32(p[:], uint32(part))
	binary.LittleEndian.PutUint32(p[4:], uint32(layer))
	return crc32.Update(crc32.Update(0, castagnoli, b[:entrySize-4]), castagnoli, p[:])
}

// appendFooter appends the footer of a map output whose index is at off.
func appendFooter(dst []byte, off int64, parts, layers int) []byte {
	o := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(off))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(parts))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(layers))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[o:], castagnoli))
	return append(dst, magicFoot...)
}

// locate finds the segments of a partition in a map output of the given size,
// one of each layer. Damage, and a file that is not the map output it should
// be, is errCorrupt.
func locate(f io.ReaderAt, size int64, run job.RunID, id job.MapOutputID, part int) ([]extent, error) {
	var foot [footerSize]byte
	if size < footerSize {
		return nil, corrupt("file of %d bytes", size)
	}
	if err := readAt(f, foot[:], size-footerSize); err != nil {
		return nil, err
	}
	index := int64(binary.LittleEndian.Uint64(foot[:]))
	parts := int64(binary.LittleEndian.Uint32(foot[8:]))
	layers := int64(binary.LittleEndian.Uint32(foot[12:]))
	switch {
	case string(foot[20:]) != magicFoot:
		return nil, corrupt("footer %q", foot[20:])
	case crc32.Checksum(foot[:16], castagnoli) != binary.LittleEndian.Uint32(foot[16:]):
		return nil, corrupt("footer's checksum")
	case parts == 0 || parts > maxParts || layers == 0 || layers > maxLayers || index < 0 || index != size-footerSize-parts*layers*entrySize:
		return nil, corrupt("footer of %d partitions in %d layers at %d in %d bytes", parts, layers, index, size)
	}

	want := appendHeader(nil, run, id, int(parts))
	if index < int64(len(want)) {
		return nil, corrupt("index at %d", index)
	}
	got := make([]byte, len(want))
	if err := readAt(f, got, 0); err != nil {
		return nil, err
	}
	if !bytes.Equal(got, want) {
		return nil, corrupt("header")
	}
	if int64(part) >= parts {
		return nil, fmt.Errorf("shuffle: partition %d of map output m%d#%d, which has %d", part, id.Task, id.Attempt, parts)
	}

	entries := make([]byte, layers*entrySize)
	if err := readAt(f, entries, index+int64(part)*layers*entrySize); err != nil {
		return nil, err
	}
	extents := make([]extent, layers)
	for i := range extents {
		e, err := parseIndex(entries[i*entrySize:][:entrySize], part, i)
		if err != nil {
			return nil, err
		}
		if e.off < int64(len(want)) || e.size < 0 || e.off > index || e.size > index-e.off {
			return nil, corrupt("segment of %d bytes at %d before %d", e.size, e.off, index)
		}
		extents[i] = e
	}
	return extents, nil
}

// parseIndex parses the index entry of a partition in a layer.
func parseIndex(b []byte, part, layer int) (extent, error) {
	if entrySum(b, part, layer) != binary.LittleEndian.Uint32(b[24:]) {
		return extent{}, corrupt("index entry's checksum")
	}
	e := extent{
		off:     int64(binary.LittleEndian.Uint64(b)),
		size:    int64(binary.LittleEndian.Uint64(b[8:])),
		records: int64(binary.LittleEndian.Uint64(b[16:])),
	}
	return e, e.check()
}

// check says whether a segment can be what it claims.
func (e extent) check() error {
	if e.size < 0 || e.size > maxSegment || e.records < 0 || (e.size == 0) != (e.records == 0) || e.records > (e.size/blockHead)*maxPerBlock {
		return corrupt("segment of %d records in %d bytes", e.records, e.size)
	}
	return nil
}

// openOutput opens a map output and finds the segments of a partition in it.
func openOutput(r *run, id job.MapOutputID, part int) (*os.File, []extent, error) {
	f, err := os.Open(r.path(id))
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil {
		var extents []extent
		if extents, err = locate(f, st.Size(), r.id, id, part); err == nil {
			return f, extents, nil
		}
	}
	f.Close()
	return nil, nil, err
}

// readAt fills b. The end of the file before that is damage.
func readAt(f io.ReaderAt, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		return corrupt("end of file at %d", off+int64(n))
	}
	return err
}

// isLost reports whether err says that what was to be read is gone for good,
// so that it must be made again. An error that is the reader's own, as when it
// has no files left to open, does not.
func isLost(err error) bool {
	var read *fs.PathError
	return errors.Is(err, errCorrupt) || errors.Is(err, fs.ErrNotExist) || errors.As(err, &read) && read.Op == "read"
}
