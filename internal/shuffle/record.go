package shuffle

import "encoding/binary"

// prefix returns the first eight bytes of key as a number whose order is that
// of the bytes. A shorter key counts as if zeros followed.
func prefix(key []byte) uint64 {
	switch n := len(key); {
	case n >= 8:
		return binary.BigEndian.Uint64(key)
	case n >= 4: // two loads that overlap are quicker than a loop
		return uint64(binary.BigEndian.Uint32(key))<<32 | uint64(binary.BigEndian.Uint32(key[n-4:]))<<(8*(8-n)&63)
	case n >= 2:
		return uint64(binary.BigEndian.Uint16(key))<<48 | uint64(binary.BigEndian.Uint16(key[n-2:]))<<(8*(8-n)&63)
	case n == 1:
		return uint64(key[0]) << 56
	}
	return 0
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
