// Package codec turns values into bytes and back, canonically: equal values
// give equal bytes, on every node and in every process.
//
// A value becomes MessagePack: integers in their shortest form, structs as
// maps in the order of their fields, and maps in the order of their keys. The
// key of a pair becomes bytes whose order is the order of the keys; see Key.
//
// The package is the one door to the msgpack library, which was not made for
// bytes that strangers send: it believes lengths, recurses without a limit,
// and cuts numbers that do not fit. So nothing reaches it unseen, and structs,
// which it is slow with, do not reach it at all. Values are refused by their
// type before it meets them, bytes are checked before it reads them. What does
// not hold is an error and never a panic, costs memory
// in proportion to its length, and names what to change. Only methods that a
// user's type brings along, such as UnmarshalMsgpack, are on their own.
package codec

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
)

// MaxDepth is how deep the arrays, maps and structs of a value may be nested
// in each other. Marshal and Unmarshal refuse what is deeper.
const MaxDepth = 32

// Raw is a value that is already encoded, or not decoded yet: a field of this
// type carries its bytes as they are. A nil Raw is encoded as nil.
type Raw = msgpack.RawMessage

// Marshal returns the MessagePack encoding of v. It fails, naming the type and
// the field, if v holds what cannot be encoded (a channel, a function, a
// complex number, a struct without exported fields), or is nested more than
// MaxDepth deep, as a value that contains itself is.
func Marshal(v any) ([]byte, error) {
	e := encoders.Get().(*encoder)
	b, err := e.append(e.spare[:0], v)
	if err != nil {
		return nil, err // The encoder is dropped: who knows what it holds.
	}
	if cap(b) > keep {
		e.spare = nil
		encoders.Put(e)
		return b, nil
	}
	e.spare = b
	out := bytes.Clone(b)
	encoders.Put(e)
	return out, nil
}

// Append appends the encoding of v, as Marshal returns it, to dst. If it fails
// it returns dst as it was.
func Append(dst []byte, v any) ([]byte, error) {
	if out, ok := appendScalar(dst, v); ok {
		return out, nil
	}
	e := encoders.Get().(*encoder)
	out, err := e.append(dst, v)
	if err != nil {
		return dst, err
	}
	encoders.Put(e)
	return out, nil
}

// Unmarshal stores the value that b encodes in v, a non-nil pointer. Fields
// that b does not name keep what they held, so v is best a zero value; after
// an error its content is undefined.
//
// It fails if b is not one well-formed value as Check has it, if a number does
// not fit where it belongs, or if b asks for far more memory than its length
// explains. Times come back in UTC. In an interface value integers come back
// as int64 (as uint64 above its range), floats as float64, arrays as []any,
// and maps as map[string]any, or map[any]any if a key is no string.
func Unmarshal(b []byte, v any) error {
	if done, err := decodeScalar(b, v); done {
		return err
	}
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("codec: cannot decode into %T: give a pointer that is not nil", v)
	}
	s, err := shapeOf(p.Type().Elem())
	if err != nil {
		return err
	}
	return decode(b, p, s)
}

// keep is up to how many bytes a buffer is kept for the next value.
const keep = 64 << 10

// encoder is an encoder of the library with the bytes it writes to.
type encoder struct {
	lib   *msgpack.Encoder
	out   []byte
	spare []byte

	lent     bool // the library has encoded some of the value
	unsorted bool // and perhaps a map that it does not sort
}

var encoders = sync.Pool{New: func() any { return &encoder{lib: msgpack.NewEncoder(nil)} }}

// Write and WriteByte are what the library wants of a writer.
func (e *encoder) Write(p []byte) (int, error) { e.out = append(e.out, p...); return len(p), nil }

func (e *encoder) WriteByte(c byte) error { e.out = append(e.out, c); return nil }

func (e *encoder) append(dst []byte, v any) ([]byte, error) {
	if out, ok := appendScalar(dst, v); ok {
		return out, nil
	}
	r := reflect.ValueOf(v)
	s, err := shapeOf(r.Type())
	if err != nil {
		return nil, err
	}
	return e.appendShape(dst, r, s)
}

// appendShape appends r, whose shape is s.
func (e *encoder) appendShape(dst []byte, r reflect.Value, s *shape) ([]byte, error) {
	if s.open {
		if f := s.bound(r, 0, 0); f != nil {
			return nil, f.encoding(s.typ)
		}
	}
	out, err := e.run(dst, r, s)
	if err != nil {
		return nil, err
	}
	value := out[len(dst):]
	if e.lent || s.open || s.depth > MaxDepth { // else it is as it is written here
		if err := Check(value); err != nil {
			return nil, fmt.Errorf("codec: encoding a %s gave what cannot be decoded: %w", s.typ, err)
		}
	}
	if e.unsorted {
		s.sort(value)
	}
	return out, nil
}

func (e *encoder) run(dst []byte, r reflect.Value, s *shape) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("codec: encoding a %s panicked: %v", r.Type(), p)
		}
	}()
	e.lent, e.unsorted = false, false
	at, of := addressed(r, s)
	if out, err = e.direct(dst, at, of); err != nil {
		return nil, fmt.Errorf("codec: encode a %s: %w", r.Type(), err)
	}
	return out, nil
}

// addressed returns where there is a value that is encoded as r, whose shape is s,
// and the shape of that. Methods of pointers, too, can be called on what has an
// address only.
func addressed(r reflect.Value, s *shape) (unsafe.Pointer, *shape) {
	switch {
	case s.form == formPointer && s.elem.form != formOpaque && !r.IsNil():
		return r.UnsafePointer(), s.elem
	case r.CanAddr():
		return r.Addr().UnsafePointer(), s
	}
	p := reflect.New(r.Type())
	p.Elem().Set(r)
	return p.UnsafePointer(), s
}

// decoder is a decoder of the library with the bytes it reads.
type decoder struct {
	lib *msgpack.Decoder
	in  bytes.Reader

	borrowed bool // the library has decoded some of the value
}

var decoders = sync.Pool{New: func() any { return &decoder{lib: msgpack.NewDecoder(nil)} }}

// decode stores b in what p points at, whose shape is s.
func decode(b []byte, p reflect.Value, s *shape) error {
	if err := Check(b); err != nil {
		return err
	}
	budget := memory(len(b))
	if _, f := s.fit(b, &budget); f != nil {
		return f.decoding(s.typ)
	}
	if s.form == formAny {
		p.Elem().SetZero() // The library would decode into what it holds.
	}
	d := decoders.Get().(*decoder)
	if err := d.run(b, p, s); err != nil {
		return err // The decoder is dropped: it may be recording still.
	}
	borrowed := d.borrowed
	if len(b) <= keep {
		d.in.Reset(nil)
		decoders.Put(d)
	}
	if s.stale && borrowed {
		s.settle(p.Elem(), 0)
	}
	return nil
}

func (d *decoder) run(b []byte, p reflect.Value, s *shape) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("codec: decoding a %s panicked: %v", p.Type().Elem(), r)
		}
	}()
	d.borrowed = false
	if p.Elem().IsZero() {
		_, err = d.store(b, p.UnsafePointer(), s)
	} else {
		_, err = d.borrow(b, p.UnsafePointer(), s)
	}
	return err
}

// lend has the library decode b, which is all of a value.
func (d *decoder) lend(b []byte, v reflect.Value) error {
	d.borrowed = true
	d.in.Reset(b)
	d.lib.Reset(&d.in)
	d.lib.SetMapDecoder(decodeMap)
	if err := d.lib.DecodeValue(v); err != nil {
		return fmt.Errorf("codec: decode a %s: %w", v.Type(), err)
	}
	if n := d.in.Len(); n > 0 {
		return fmt.Errorf("codec: decode a %s: its own unmarshaler left %d bytes unread", v.Type(), n)
	}
	return nil
}
