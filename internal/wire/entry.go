package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/musterhq/muster/internal/codec"
)

// An entry of the replicated log is a row of commands. Each is a version, a
// kind, a small head in MessagePack and the blobs that go with it, which
// nobody who merely stores or replicates them opens.

const (
	// MaxCommand bounds a command in bytes, its blobs included.
	MaxCommand = 4 << 20
	// MaxBlobs bounds how many blobs a command has.
	MaxBlobs = 4096
)

// ErrUnknownCommand says that a command was written by a version of the
// program that knows more than this one. Nothing of it can be carried out.
var ErrUnknownCommand = errors.New("wire: unknown command")

// EncodeCommand returns c as one element of an entry; entries are such
// elements, one after another.
func EncodeCommand(c Command) ([]byte, error) {
	head, err := codec.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("wire: command %q: %w", c.kind(), err)
	}
	blobs := c.blobs()
	if w, ok := c.(interface{ whole(blobs [][]byte) error }); ok {
		if err := w.whole(blobs); err != nil {
			return nil, err
		}
	}
	size := 2 + binary.MaxVarintLen32*(2+len(blobs)) + len(head)
	for _, b := range blobs {
		size += len(b)
	}
	if size > MaxCommand || len(blobs) > MaxBlobs || len(head) > maxHead {
		return nil, fmt.Errorf("wire: command %q of %d bytes, %d of them its head, and %d blobs is over the limit of %d, %d and %d",
			c.kind(), size, len(head), len(blobs), MaxCommand, maxHead, MaxBlobs)
	}
	const prefix = 4 // the length, which is known last
	b := make([]byte, prefix, prefix+size)
	b = append(b, VersionOf(c), c.kind())
	b = appendBytes(b, head)
	b = binary.AppendUvarint(b, uint64(len(blobs)))
	for _, blob := range blobs {
		b = appendBytes(b, blob)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-prefix))
	return b, nil
}

// Length returns how many commands an entry has, as far as it can be read.
func Length(entry []byte) (n int) {
	for len(entry) >= 4 {
		size := int(binary.BigEndian.Uint32(entry))
		if size > len(entry)-4 {
			break
		}
		entry = entry[4+size:]
		n++
	}
	return n
}

// Commands yields the commands of an entry, each with the number of bytes that
// it takes. It yields an error once, as its last. Blobs share the entry.
func Commands(entry []byte) iter.Seq2[Command, error] {
	return func(yield func(Command, error) bool) {
		for len(entry) > 0 {
			if len(entry) < 4 {
				yield(nil, errShort)
				return
			}
			n := binary.BigEndian.Uint32(entry)
			if n > MaxCommand {
				yield(nil, fmt.Errorf("wire: command of %d bytes is over the limit of %d", n, MaxCommand))
				return
			}
			if int(n) > len(entry)-4 {
				yield(nil, errShort)
				return
			}
			c, err := decodeCommand(entry[4 : 4+n : 4+n])
			if !yield(c, err) || err != nil {
				return
			}
			entry = entry[4+n:]
		}
	}
}

func decodeCommand(b []byte) (Command, error) {
	r := reader{b: b}
	version, kind := r.byte(), r.byte()
	if r.err != nil {
		return nil, r.err
	}
	c := newCommand(kind)
	if version == 0 || version > MaxCommandVersion || c == nil {
		return nil, fmt.Errorf("%w: version %d, kind %q: upgrade this node", ErrUnknownCommand, version, kind)
	}
	head := r.bytes(maxHead)
	n := r.uvarint()
	if n > MaxBlobs || n > uint64(len(r.b)) {
		r.fail(fmt.Errorf("wire: command with %d blobs in %d bytes, the limit is %d", n, len(r.b), MaxBlobs))
		n = 0
	}
	var blobs [][]byte
	if n > 0 {
		blobs = make([][]byte, n)
	}
	for i := range blobs {
		blobs[i] = r.bytes(MaxCommand)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail(fmt.Errorf("wire: %d bytes after a command", len(r.b)))
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := codec.Unmarshal(head, c); err != nil {
		return nil, fmt.Errorf("wire: command %q: %w", kind, err)
	}
	return c, c.take(blobs)
}

func newCommand(kind byte) Command {
	switch kind {
	case 'c':
		return &CreateRun{}
	case 's':
		return &StageEntry{}
	case 'd':
		return &DiscardStaged{}
	case 'w':
		return &AdmitRun{}
	case 'a':
		return &AssignRun{}
	case 'j':
		return &AppendEntries{}
	case 'f':
		return &FinishRun{}
	case 'x':
		return &CancelRun{}
	case 'k':
		return &KillRun{}
	case 'n':
		return &NoteRun{}
	case 'r':
		return &RewriteEntries{}
	case 'C':
		return &CompactedRun{}
	case 'g':
		return &ForgetRun{}
	case 'K':
		return &FreeKey{}
	case 'p':
		return &PutJob{}
	case 'T':
		return &FireJob{}
	case 'I':
		return &BeginAhead{}
	case 'D':
		return &DeleteJob{}
	case 'i':
		return &FoundCluster{}
	case 'B':
		return &CreateLot{}
	case 'U':
		return &EndInLot{}
	case 'b':
		return &ForgetInLot{}
	case 'P':
		return &PauseJob{}
	case 'e':
		return &PutEvent{}
	case 'E':
		return &ForgetEvent{}
	case 'L':
		return &DropLetters{}
	case 'V':
		return &Agree{}
	case 'N':
		return &NoteNode{}
	case 'R':
		return &ResumeJob{}
	case 'l':
		return &KeepRates{}
	case 'S':
		return &PutNamespace{}
	case 'G':
		return &PutToken{}
	case 'H':
		return &RevokeToken{}
	case 'A':
		return &RecordAudit{}
	case 'F':
		return &ForgetAudit{}
	case 'O':
		return &BeginOperation{}
	case 'o':
		return &AdvanceOperation{}
	case 'q':
		return &CancelOperation{}
	case 'Q':
		return &ForgetOperations{}
	}
	return nil
}
