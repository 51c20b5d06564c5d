package mapreduce

import (
	"encoding/binary"
	"fmt"

	"github.com/musterhq/muster/internal/codec"
)

// The payload of a keyed map task says which of three kinds of input it is.
// It begins with a byte that no MessagePack value begins with, so that the
// payload of another kind of task can't be mistaken for it.
const (
	envelope = 0xc1

	kindValues = 'v' // records: each a length and an encoded value
	kindSplit  = 's' // one encoded Split
	kindSample = 'p' // payloads: each a length and an envelope
)

// ValuesPayload returns the payload of a keyed map task whose records are
// values, each encoded.
func ValuesPayload(values [][]byte) ([]byte, error) {
	return parcel(kindValues, values), nil
}

// PayloadValues returns the values that ValuesPayload made a payload of.
func PayloadValues(payload []byte) (values [][]byte, err error) {
	kind, body, err := unwrap(payload)
	switch {
	case err != nil:
		return nil, err
	case kind != kindValues:
		return nil, fmt.Errorf("mapreduce: a payload of kind %q has no values", kind)
	}
	for len(body) > 0 {
		var item []byte
		if item, body, err = nextItem(body); err != nil {
			return nil, fmt.Errorf("mapreduce: values of a map task: %w", err)
		}
		values = append(values, item)
	}
	return values, nil
}

// SplitPayload returns the payload of a keyed map task whose records are the
// lines or the files of s.
func SplitPayload(s Split) ([]byte, error) {
	for _, r := range s.Ranges {
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	b, err := codec.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("mapreduce: encode a split of %d ranges: %w", len(s.Ranges), err)
	}
	return append([]byte{envelope, kindSplit}, b...), nil
}

func parcel(kind byte, items [][]byte) []byte {
	size := 2
	for _, item := range items {
		size += binary.MaxVarintLen32 + len(item)
	}
	b := append(make([]byte, 0, size), envelope, kind)
	for _, item := range items {
		b = binary.AppendUvarint(b, uint64(len(item)))
		b = append(b, item...)
	}
	return b
}

// unwrap returns the kind and the contents of a payload.
func unwrap(payload []byte) (kind byte, body []byte, err error) {
	if len(payload) < 2 || payload[0] != envelope {
		return 0, nil, Permanent(fmt.Errorf("mapreduce: %d bytes are not the payload of a keyed map task: make it with ValuesPayload or SplitPayload", len(payload)))
	}
	return payload[1], payload[2:], nil
}

// nextItem cuts the first item off a parcel.
func nextItem(body []byte) (item, rest []byte, err error) {
	n, w := binary.Uvarint(body)
	if w <= 0 || n > uint64(len(body)-w) {
		return nil, nil, fmt.Errorf("an item claims %d bytes and %d are left", n, max(len(body)-w, 0))
	}
	body = body[w:]
	return body[:n:n], body[n:], nil
}

func decodeSplit(body []byte) (Split, error) {
	var s Split
	if err := codec.Unmarshal(body, &s); err != nil {
		return s, Permanent(fmt.Errorf("mapreduce: payload of a map task: split: %w", err))
	}
	return s, nil
}
