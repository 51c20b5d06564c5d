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

// prefixAfter returns the prefix of a key whose first shared bytes are those of
// a key with the prefix had, and are followed by rest.
func prefixAfter(had uint64, shared int, rest []byte) uint64 {
	if shared >= 8 {
		return had
	}
	return had&^(^uint64(0)>>(8*shared)) | prefix(rest)>>(8*shared)
}

// cutHead cuts the three lengths that a record begins with off b.
func cutHead(b []byte) (shared, rest, value int, body []byte, ok bool) {
	if len(b) >= 3 && b[0]|b[1]|b[2] < 0x80 { // as of most records
		return int(b[0]), int(b[1]), int(b[2]), b[3:], true
	}
	shared, b, ok1 := cutLen(b)
	rest, b, ok2 := cutLen(b)
	value, b, ok3 := cutLen(b)
	return shared, rest, value, b, ok1 && ok2 && ok3
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
