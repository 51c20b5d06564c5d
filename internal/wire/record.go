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

// DecodeRecord stores what EncodeRecord wrote to b in v, a pointer.
func DecodeRecord(b []byte, v any) error {
	if err := codec.Unmarshal(b, v); err != nil {
		return fmt.Errorf("wire: %T: %w", v, err)
	}
	return nil
}
