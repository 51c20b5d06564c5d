package state

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
)

// A snapshot is a header, the records in the order of their keys, an empty key,
// their count, and a SHA-256 of all that. The header has the cursor, so that
// who restores can tell whether it has that already.
const (
	snapshotMagic   = "muster state\x00"
	snapshotVersion = 1
	// restoreBatch is how much of a snapshot one write restores.
	restoreBatch = 1 << 20
)

// unpacked is where a snapshot is checked before anything is replaced.
const unpacked = "restore.tmp"

// image is the state at one moment, on its way into a snapshot.
type image struct{ view *store.Snapshot }

// Snapshot holds on to the state as it is now.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	v, err := f.kv.Snapshot()
	if err != nil {
		return nil, err
	}
	return &image{v}, nil
}

// Persist writes the image to sink. The store is on disk before the snapshot
// is complete, because the log behind it is cut then.
func (im *image) Persist(sink raft.SnapshotSink) error {
	w := bufio.NewWriterSize(sink, 256<<10)
	err := writeImage(w, im.view)
	if err = errors.Join(err, w.Flush()); err == nil {
		err = im.view.Sync()
	}
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release lets go of the image.
func (im *image) Release() { im.view.Close() }

func writeImage(dst io.Writer, v *store.Snapshot) error {
	at, err := readCursor(v)
	if err != nil {
		return err
	}
	w := newImageWriter(dst)
	w.header(at)
	for p, err := range v.Scan(nil) {
		if err != nil {
			return err
		}
		if err := w.record(p.Key, p.Value); err != nil {
			return err
		}
	}
	return w.trailer()
}

// imageWriter writes the fields of a snapshot; the first error sticks.
type imageWriter struct {
	dst   io.Writer
	sum   hash.Hash
	buf   []byte
	count uint64
	err   error
}

func newImageWriter(dst io.Writer) *imageWriter { return &imageWriter{dst: dst, sum: sha256.New()} }

func (w *imageWriter) write() error {
	if w.err == nil {
		w.sum.Write(w.buf)
		_, w.err = w.dst.Write(w.buf)
	}
	return w.err
}

func (w *imageWriter) header(at cursor) {
	w.buf = append(append(w.buf[:0], snapshotMagic...), snapshotVersion)
	w.buf = append(w.buf, at.bytes()...)
	_ = w.write() // it sticks
}

func (w *imageWriter) record(key, value []byte) error {
	w.buf = binary.AppendUvarint(w.buf[:0], uint64(len(key)))
	w.buf = append(w.buf, key...)
	w.buf = binary.AppendUvarint(w.buf, uint64(len(value)))
	w.buf = append(w.buf, value...)
	w.count++
	return w.write()
}

func (w *imageWriter) trailer() error {
	w.buf = binary.BigEndian.AppendUint64(append(w.buf[:0], 0), w.count)
	if err := w.write(); err != nil {
		return err
	}
	_, w.err = w.dst.Write(w.sum.Sum(nil))
	return w.err
}

// Restore replaces the state by the snapshot in src, which is checked to the
// last byte first. A crash in the middle leaves a store without a cursor, and
// the next Open restores again.
func (f *fsm) Restore(src io.ReadCloser) error {
	path := filepath.Join(f.dir, unpacked)
	defer os.Remove(path)
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	defer file.Close()
	if _, err := io.Copy(file, src); err != nil {
		return fmt.Errorf("state: receive a snapshot: %w", err)
	}
	nothing := func(_, _ []byte) error { return nil }
	if _, err := readImage(file, nothing); err != nil {
		return err
	}
	if err := f.replace(file); err != nil {
		return fmt.Errorf("state: restore a snapshot: %w", err)
	}
	if err := f.load(); err != nil {
		return err
	}
	for _, id := range f.hub.watched() {
		st, err := readStatus(f.kv, id)
		if err == nil {
			st, err = asSeen(f.kv, st)
		}
		if err != nil {
			return err
		}
		if st != nil && !st.Staged {
			if err := f.publish(id, st); err != nil {
				return err
			}
		}
	}
	return nil
}

// replace empties the store and fills it from file, the cursor last.
func (f *fsm) replace(file *os.File) error {
	if err := f.kv.DropAll(); err != nil {
		return err
	}
	b, err := f.kv.Batch()
	if err != nil {
		return err
	}
	defer func() { b.Discard() }()
	at, err := readImage(file, func(key, value []byte) error {
		if bytes.Equal(key, cursorKey) {
			return nil
		}
		if b.Size()+len(key)+len(value) > restoreBatch {
			if err := f.write(b); err != nil {
				return err
			}
			if b, err = f.kv.Batch(); err != nil {
				return err
			}
		}
		return b.Put(bytes.Clone(key), value)
	})
	if err != nil {
		return err
	}
	if err := b.Put(cursorKey, at.bytes()); err != nil {
		return err
	}
	if err := f.write(b); err != nil {
		return err
	}
	return f.kv.Sync()
}

// readImage calls each for every record of the snapshot in file, valid during
// the call, and returns the cursor. It is an error if any byte is not as it
// was written; each may have been called by then.
func readImage(file io.ReadSeeker, each func(key, value []byte) error) (cursor, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return cursor{}, fmt.Errorf("state: %w", err)
	}
	at, _, err := scanImage(file, each)
	return at, err
}

// scanImage is readImage of what is read once. It returns the checksum too.
func scanImage(src io.Reader, each func(key, value []byte) error) (at cursor, sum []byte, err error) {
	r := newImageReader(src)
	at = r.header()
	var count uint64
	var key, value []byte
	for r.err == nil {
		if key = r.field(key, maxKey); len(key) == 0 {
			break
		}
		if value = r.field(value, store.MaxValue); r.err == nil {
			r.err = each(key, value)
		}
		count++
	}
	sum = r.trailer(count)
	return at, sum, r.err
}

// maxKey is above what the longest key of keys.go takes.
const maxKey = 3 * (maxName + 16)

// imageReader reads the fields of a snapshot; the first error sticks.
type imageReader struct {
	src *bufio.Reader
	sum hash.Hash
	err error
}

func newImageReader(src io.Reader) *imageReader {
	return &imageReader{src: bufio.NewReaderSize(src, 256<<10), sum: sha256.New()}
}

func (r *imageReader) read(buf []byte) []byte {
	if r.err == nil {
		if _, err := io.ReadFull(r.src, buf); err != nil {
			r.corrupt("it ends early: %v", err)
		}
		r.sum.Write(buf)
	}
	return buf
}

func (r *imageReader) corrupt(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("state: snapshot: "+format+": %w", append(args, store.ErrCorrupt)...)
	}
}

func (r *imageReader) header() cursor {
	b := r.read(make([]byte, len(snapshotMagic)+1+12))
	magic, b := b[:len(snapshotMagic)], b[len(snapshotMagic):]
	if r.err == nil && string(magic) != snapshotMagic {
		r.corrupt("it does not begin as one")
	}
	if r.err == nil && b[0] != snapshotVersion {
		r.err = fmt.Errorf("%w: snapshot has version %d, this program knows %d: upgrade it", ErrBroken, b[0], snapshotVersion)
	}
	return cursor{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint32(b[9:])}
}

// field reads a length and so many bytes into buf.
func (r *imageReader) field(buf []byte, limit int) []byte {
	n := r.uvarint()
	if n > uint64(limit) {
		r.corrupt("a field of %d bytes is over the limit of %d", n, limit)
	}
	if r.err != nil {
		return nil
	}
	if uint64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	return r.read(buf[:n])
}

func (r *imageReader) uvarint() uint64 {
	var n uint64
	for shift := uint(0); r.err == nil; shift += 7 {
		if shift > 28 {
			r.corrupt("a length that is none")
			break
		}
		b := r.read(make([]byte, 1))[0]
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	return n
}

// trailer checks that the snapshot ends as it should, and returns its checksum.
func (r *imageReader) trailer(count uint64) (sum []byte) {
	if n := binary.BigEndian.Uint64(r.read(make([]byte, 8))); r.err == nil && n != count {
		r.corrupt("it has %d records and claims %d", count, n)
	}
	want := r.sum.Sum(nil)
	if got := r.read(make([]byte, sha256.Size)); r.err == nil && !bytes.Equal(got, want) {
		r.corrupt("its checksum does not hold")
	}
	if _, err := r.src.ReadByte(); r.err == nil && err != io.EOF {
		r.corrupt("it goes on after its end")
	}
	return want
}
