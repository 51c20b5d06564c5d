package shuffle

import "encoding/binary"

// prefix returns the first eight bytes of key as a number whose order is that
// of the bytes. A shorter key counts as if zeros followed.
func prefix(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var p uint64
	for i, c := range key {
		p |= uint64(c) << (56 - 8*i)
	}
	return p
}

// cutLen cuts a length off b. It fails if b has none, or one that no record
// has.
func cutLen(b []byte) (n int, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return int(b[0]), b[1:], true
	}
	v, k := binary.Uvarint(b)
	if k <= 0 || v > maxRaw {
		return 0, nil, false
	}
	return int(v), b[k:], true
}
