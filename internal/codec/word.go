package codec

import "unsafe"

// IsWord reports whether a V is a bool or a number, so that it is as well
// carried as a machine word.
func (c Value[V]) IsWord() bool {
	switch c.form {
	case formInt, formUint, formFloat, formBool:
		return true
	}
	return false
}

// Word returns v as a word, if IsWord.
func (c Value[V]) Word(v V) uint64 {
	if unsafe.Sizeof(v) == 8 { // known when this is compiled for V
		return *(*uint64)(unsafe.Pointer(&v))
	}
	return loadUint(unsafe.Pointer(&v), unsafe.Sizeof(v))
}

// OfWord returns the value that Word made w of.
func (c Value[V]) OfWord(w uint64) (v V) {
	if unsafe.Sizeof(v) == 8 {
		return *(*V)(unsafe.Pointer(&w))
	}
	storeUint(unsafe.Pointer(&v), unsafe.Sizeof(v), w)
	return v
}

// View returns the bytes of k without a copy, if they are k as it is in
// memory: if it is a string or []byte. They must not be changed.
func (c Key[K]) View(k *K) (b []byte, ok bool) {
	if c.part == nil {
		return nil, false
	}
	switch c.part.form {
	case formString:
		s := *as[string](k)
		return unsafe.Slice(unsafe.StringData(s), len(s)), true
	case formBytes:
		return *as[[]byte](k), true
	}
	return nil, false
}
