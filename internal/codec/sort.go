package codec

import (
	"bytes"
	"slices"
)

// sort puts the maps of the value that b begins with in the order of their
// keys, in place, and returns how many bytes the value takes. Keys that are
// strings are in the order of their text, others in that of their bytes.
//
// Fields of a struct stay as they are, but in an interface value there is no
// telling a struct from a map. What types encode by methods of their own is
// left alone. Only for bytes that passed Check.
func (s *shape) sort(b []byte) int {
	h, _ := read(b)
	if !s.mixed || h.class != classArray && h.class != classMap {
		return skip(b)
	}
	switch s.form {
	case formAny:
		return sortAny(b)
	case formPointer:
		return s.elem.sort(b)
	case formList:
		at := h.size
		for range h.n {
			at += s.elem.sort(b[at:])
		}
		return at
	case formMap:
		return sortMap(b, h, s.key.sort, s.elem.sort)
	case formStruct:
		return s.sortStruct(b, h)
	}
	return skip(b)
}

func (s *shape) sortStruct(b []byte, h head) int {
	at := h.size
	for i := range h.n {
		if h.class == classArray {
			at += s.field[i].shape.sort(b[at:])
			continue
		}
		name, _ := read(b[at:])
		field := s.names[string(name.content(b[at:]))]
		at += name.size
		at += field.sort(b[at:])
	}
	return at
}

func sortAny(b []byte) int {
	h, _ := read(b)
	switch h.class {
	case classArray:
		at := h.size
		for range h.n {
			at += sortAny(b[at:])
		}
		return at
	case classMap:
		return sortMap(b, h, sortAny, sortAny)
	}
	return h.size
}

// pair is a key of a map with its value, as bytes.
type pair struct{ key, both []byte }

func sortMap(b []byte, h head, key, value func([]byte) int) int {
	pairs := make([]pair, 0, h.n)
	at := h.size
	for range h.n {
		k := key(b[at:])
		both := k + value(b[at+k:])
		pairs = append(pairs, pair{b[at : at+k], b[at : at+both]})
		at += both
	}
	if slices.IsSortedFunc(pairs, comparePairs) {
		return at
	}
	slices.SortFunc(pairs, comparePairs)
	sorted := make([]byte, 0, at-h.size)
	for _, p := range pairs {
		sorted = append(sorted, p.both...)
	}
	copy(b[h.size:at], sorted)
	return at
}

func comparePairs(p, q pair) int {
	ph, _ := read(p.key)
	qh, _ := read(q.key)
	if ph.class == classBytes && qh.class == classBytes {
		if c := bytes.Compare(ph.content(p.key), qh.content(q.key)); c != 0 {
			return c
		}
	}
	if c := bytes.Compare(p.key, q.key); c != 0 {
		return c
	}
	return bytes.Compare(p.both, q.both) // a NaN can be a key twice
}
