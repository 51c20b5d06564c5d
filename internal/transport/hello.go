package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The handshake: who dials says hello, who accepts answers with a hello of its
// own and a verdict, and who dialled confirms with one byte. Then the session
// begins. The form of a hello is the same in all versions of the protocol, so
// that any two can tell each other why they do not get on; later versions may
// add bytes at its end.
const (
	magic        = "muster\r\n"
	confirmed    = 1
	instanceSize = 16
	maxName      = 255 // bytes of an ID, a label, a method
	maxHello     = 1024
)

// kind is what a session is for.
type kind uint8

const (
	control kind = iota // calls
	bulk                // streams
	kinds               // how many there are
)

func (k kind) String() string {
	if k == control {
		return "control"
	}
	return "bulk"
}

type hello struct {
	minVersion, maxVersion uint32
	accepted               bool // the verdict; only an answer has one
	kind                   kind
	instance               [instanceSize]byte
	cluster, id            string
	want                   string // whom the dialler expects
}

func (h *hello) append(b []byte) []byte {
	b = append(b, magic...)
	start := len(b)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, h.minVersion)
	b = binary.BigEndian.AppendUint32(b, h.maxVersion)
	var verdict byte
	if h.accepted {
		verdict = confirmed
	}
	b = append(b, verdict, byte(h.kind))
	b = append(b, h.instance[:]...)
	for _, s := range []string{h.cluster, h.id, h.want} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	binary.BigEndian.PutUint16(b[start:], uint16(len(b)-start-2))
	return b
}

// errGarbage is what readHello returns for bytes that are no hello.
type errGarbage struct{ what string }

func (e *errGarbage) Error() string { return e.what }

func readHello(r io.Reader) (*hello, error) {
	var head [len(magic) + 2]byte
	n, err := io.ReadFull(r, head[:])
	if got := head[:min(n, len(magic))]; n > 0 && !bytes.HasPrefix([]byte(magic), got) {
		return nil, &errGarbage{fmt.Sprintf("%q", got)}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &errGarbage{fmt.Sprintf("%q and no more", head[:n])}
	}
	if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint16(head[len(magic):])
	if size > maxHello {
		return nil, &errGarbage{fmt.Sprintf("a hello of %d bytes, where %d are allowed", size, maxHello)}
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	return parseHello(b)
}

func parseHello(b []byte) (*hello, error) {
	const fixed = 4 + 4 + 1 + 1 + instanceSize
	short := &errGarbage{"a hello that is cut short"}
	if len(b) < fixed {
		return nil, short
	}
	h := &hello{
		minVersion: binary.BigEndian.Uint32(b),
		maxVersion: binary.BigEndian.Uint32(b[4:]),
		accepted:   b[8] == confirmed,
		kind:       kind(b[9]),
	}
	copy(h.instance[:], b[10:])
	b = b[fixed:]
	for _, s := range []*string{&h.cluster, &h.id, &h.want} {
		if len(b) == 0 || len(b)-1 < int(b[0]) {
			return nil, short
		}
		*s, b = string(b[1:1+b[0]]), b[1+int(b[0]):]
	}
	return h, nil
}

// hello returns what this node says of itself.
func (t *Transport) hello(k kind) *hello {
	return &hello{
		minVersion: t.cfg.MinVersion,
		maxVersion: t.cfg.MaxVersion,
		kind:       k,
		instance:   t.instance,
		cluster:    t.cfg.Cluster,
		id:         t.cfg.ID,
	}
}

// agrees reports as an error why this node has no session with the one at
// addr, which said h.
func (t *Transport) agrees(h *hello, addr string) error {
	switch {
	case h.cluster != t.cfg.Cluster:
		return fmt.Errorf("transport: %s belongs to cluster %q, not %q: set Cluster to the same label", addr, h.cluster, t.cfg.Cluster)
	case h.minVersion > t.cfg.MaxVersion || h.maxVersion < t.cfg.MinVersion:
		return fmt.Errorf("transport: %s speaks protocol versions %d to %d, this node %d to %d: upgrade the older of the two",
			addr, h.minVersion, h.maxVersion, t.cfg.MinVersion, t.cfg.MaxVersion)
	case h.id == "":
		return fmt.Errorf("transport: %s has an empty ID: give the node an ID that no other has", addr)
	case h.kind >= kinds:
		return fmt.Errorf("transport: %s asks for a session of kind %d, of which this node knows none: upgrade the older of the two", addr, h.kind)
	}
	return nil
}

// accepts is agrees for the side that was dialled.
func (t *Transport) accepts(h *hello, addr string) error {
	err := t.agrees(h, addr)
	switch {
	case err != nil:
		return err
	case h.want != t.cfg.ID:
		return fmt.Errorf("transport: node %q at %s dialled %q, but this is %q: correct the address it resolves %q to", h.id, addr, h.want, t.cfg.ID, h.want)
	case h.id == t.cfg.ID:
		return fmt.Errorf("transport: the node at %s has this node's ID %q: give each node its own", addr, h.id)
	}
	return nil
}

// expects is agrees for the side that dialled want.
func (t *Transport) expects(h *hello, want, addr string) error {
	err := t.agrees(h, addr)
	switch {
	case err != nil:
		return err
	case h.id != want:
		return fmt.Errorf("transport: %s is node %q, not %q: correct the address that %q resolves to", addr, h.id, want, want)
	case !h.accepted:
		return fmt.Errorf("transport: node %q at %s refuses this node: its log says why", h.id, addr)
	}
	return nil
}
