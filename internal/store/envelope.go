package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A record on disk is a version, a checksum of key and value, and the value.
// The checksum covers the key so that a value that turns up under another key
// is noticed too.
const (
	envelopeVersion = 1
	envelopeSize    = 1 + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seal(dst, key []byte, value ...[]byte) []byte {
	sum := crc32.Update(0, castagnoli, key)
	for _, v := range value {
		sum = crc32.Update(sum, castagnoli, v)
	}
	dst = append(dst, envelopeVersion)
	dst = binary.LittleEndian.AppendUint32(dst, sum)
	for _, v := range value {
		dst = append(dst, v...)
	}
	return dst
}

// unseal returns the value in a record, which it shares.
func unseal(key, record []byte) ([]byte, error) {
	if len(record) < envelopeSize {
		return nil, fmt.Errorf("store: record %q has %d bytes, too few to be whole: %w", key, len(record), ErrCorrupt)
	}
	if record[0] != envelopeVersion {
		return nil, fmt.Errorf("store: record %q has format %d, want %d: %w", key, record[0], envelopeVersion, ErrCorrupt)
	}
	want := binary.LittleEndian.Uint32(record[1:])
	value := record[envelopeSize:]
	if got := crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, value); got != want {
		return nil, fmt.Errorf("store: record %q has checksum %08x, want %08x: %w", key, got, want, ErrCorrupt)
	}
	return value, nil
}
