package mapreduce

import "github.com/musterhq/muster/internal/codec"

// Encode returns v as a task's payload or result is encoded. It fails if v
// holds what can't be encoded, and names the type and the field.
func Encode(v any) ([]byte, error) { return codec.Marshal(v) }

// Decode stores the encoded value b in v, a pointer; it is the reverse of
// Encode. What a task that returned nil is encoded as leaves v as it is.
func Decode(b []byte, v any) error {
	if len(b) == 0 {
		return nil
	}
	return codec.Unmarshal(b, v)
}
