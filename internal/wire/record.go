package wire

import (
	"fmt"

	"github.com/musterhq/muster/internal/codec"
)

// EncodeRecord returns v, a part of the vocabulary, as the state stores it.
func EncodeRecord(v any) ([]byte, error) {
	b, err := codec.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("wire: %T: %w", v, err)
	}
	return b, nil
}

// Again is EncodeRecord for values of which many in a row are the same: those share
// their bytes. The zero value is ready.
type Again[T any] struct {
	last T
	b    []byte // of last, if it is not nil
}

// EncodeRecord returns v as the state stores it.
func (a *Again[T]) EncodeRecord(v *T) ([]byte, error) {
	if a.b != nil && codec.Same(&a.last, v) {
		return a.b, nil
	}
	b, err := EncodeRecord(v)
	if a.b = b; err == nil {
		a.last = *v
	}
	return b, err
}

// DecodeRecord stores what EncodeRecord wrote to b in v, a pointer.
func DecodeRecord(b []byte, v any) error {
	if err := codec.Unmarshal(b, v); err != nil {
		return fmt.Errorf("wire: %T: %w", v, err)
	}
	return nil
}
