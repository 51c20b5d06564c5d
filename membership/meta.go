package membership

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxMeta is what the gossip library lets a node say about itself. It
	// panics on more.
	maxMeta = 512
	// maxID keeps the name of a life short: it is in nearly every packet.
	maxID = 64
	// protocol is the first byte of the metadata and the version that nodes
	// compare before they merge. It changes when old nodes could no longer
	// read what new ones say; fields added at the end do not change it.
	protocol = 1
)

// A life is named by ID and incarnation, "id.incarnation", the incarnation in
// base 36: gossip refuses a name it knows at another address, so every life of
// a node is somebody new to it.
func lifeName(m Member) string { return m.ID + "." + strconv.FormatUint(m.Incarnation, 36) }

// parseLife is the inverse of lifeName.
func parseLife(name string) (id string, incarnation uint64, err error) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", 0, fmt.Errorf("membership: %q is no name of a muster node", clip(name))
	}
	if err := checkID(name[:i]); err != nil {
		return "", 0, err
	}
	incarnation, err = strconv.ParseUint(name[i+1:], 36, 64)
	if err != nil || strconv.FormatUint(incarnation, 36) != name[i+1:] {
		return "", 0, fmt.Errorf("membership: %q is no name of a muster node", clip(name))
	}
	return name[:i], incarnation, nil
}

// encodeMeta writes what m says about itself, besides what its life's name and
// gossip address say already. addr is empty unless gossip cannot carry the
// address itself, because its host is no IP address. Strings and lists are
// preceded by their length; all numbers are varints.
func encodeMeta(m Member, addr string) ([]byte, error) {
	if m.Slots < 0 || m.Slots > math.MaxInt32 {
		return nil, fmt.Errorf("membership: Slots %d: want 0 to %d", m.Slots, math.MaxInt32)
	}
	b := []byte{protocol}
	var largest string
	var most int
	var bad error
	field := func(name string, f func()) {
		before := len(b)
		f()
		if n := len(b) - before; n > most {
			largest, most = name, n
		}
	}
	text := func(s string) {
		if !utf8.ValidString(s) {
			bad = fmt.Errorf("membership: %q is not UTF-8", clip(s))
		}
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	list := func(ss []string) {
		b = binary.AppendUvarint(b, uint64(len(ss)))
		for _, s := range ss {
			text(s)
		}
	}
	field("Name", func() { text(m.Name) })
	field("RPC", func() { text(m.RPC) })
	field("Version", func() { text(m.Version) })
	field("Addr", func() { text(addr) })
	b = binary.AppendUvarint(b, uint64(m.Slots))
	field("Roles", func() { list(m.Roles) })
	field("Tags", func() { list(m.Tags) })
	if bad != nil {
		return nil, bad
	}
	if len(b) > maxMeta {
		return nil, fmt.Errorf("membership: what this node says about itself takes %d bytes, at most %d fit in gossip: shorten %s, the largest field with %d bytes",
			len(b), maxMeta, largest, most)
	}
	return b, nil
}

var errMeta = errors.New("membership: malformed metadata")

// decodeMeta fills in m from metadata and returns the address it names, if
// any. Nothing is allocated that is not in b, and b is small. What follows the
// last field is of a newer release and skipped.
func decodeMeta(b []byte, m *Member) (addr string, err error) {
	if len(b) == 0 || len(b) > maxMeta {
		return "", fmt.Errorf("%w: %d bytes, want 1 to %d", errMeta, len(b), maxMeta)
	}
	if b[0] != protocol {
		return "", fmt.Errorf("membership: the node speaks version %d of the protocol, this one speaks %d: run releases that fit together", b[0], protocol)
	}
	r := reader{b: b[1:]}
	m.Name = r.text()
	m.RPC = r.text()
	m.Version = r.text()
	addr = r.text()
	m.Slots = int(r.number(math.MaxInt32))
	m.Roles = r.list()
	m.Tags = r.list()
	if r.bad {
		return "", errMeta
	}
	return addr, nil
}

// A reader takes metadata apart. After the first thing that does not fit, it
// is bad and reads only zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number(limit uint64) uint64 {
	n, size := binary.Uvarint(r.b)
	if r.bad || size <= 0 || n > limit {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) text() string {
	n := r.number(uint64(len(r.b)))
	if n > uint64(len(r.b)) || !utf8.Valid(r.b[:n]) {
		r.bad = true
	}
	if r.bad {
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) list() []string {
	n := r.number(uint64(len(r.b))) // an element takes at least a byte
	if n == 0 {
		return nil
	}
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = r.text()
	}
	return out
}
