package state

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// A backup is a line that says what it is, the length of the manifest, the
// manifest in JSON, a SHA-256 of all that, and a snapshot, which has one of its
// own. So no byte of it can change unnoticed, and it is written and checked from
// the beginning to the end, without going back.
const (
	backupMagic = "muster backup 1\n"
	// maxManifest bounds the manifest in bytes.
	maxManifest = 64 << 10
)

// Backup writes a backup of the state to w: all that was acknowledged before it
// was called, at one moment. Only the leader can do that; others return
// ErrNotLeader, and then nothing was written.
func (s *State) Backup(ctx context.Context, w io.Writer) error {
	var v *store.Snapshot
	if err := s.Read(ctx, func() (err error) {
		v, err = s.view()
		return err
	}); err != nil {
		if v != nil {
			v.Close()
		}
		return err
	}
	defer v.Close()
	m, err := manifestOf(v)
	if err != nil {
		return err
	}
	m.Term, m.At = s.raft.CurrentTerm(), s.now().UTC()
	return writeBackup(w, m, v)
}

// manifestOf says what is in a copy of the state.
func manifestOf(v *store.Snapshot) (m job.Manifest, err error) {
	at, err := readCursor(v)
	if err != nil {
		return m, err
	}
	m = job.Manifest{Index: at.Index, Layout: layoutVersion, Commands: firstVersion}
	cluster, err := v.Get(clusterKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return m, err
	}
	m.Cluster = string(cluster)
	agreed, err := v.Get(agreedKey)
	if errors.Is(err, store.ErrNotFound) {
		return m, nil
	}
	if err == nil && len(agreed) == 1 {
		m.Commands = int(agreed[0])
	}
	return m, err
}

func writeBackup(dst io.Writer, m job.Manifest, v *store.Snapshot) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("state: backup: %w", err)
	}
	head := binary.BigEndian.AppendUint32([]byte(backupMagic), uint32(len(b)))
	head = append(head, b...)
	sum := sha256.Sum256(head)
	w := bufio.NewWriterSize(dst, 256<<10)
	if _, err := w.Write(append(head, sum[:]...)); err != nil {
		return fmt.Errorf("state: backup: %w", err)
	}
	if err := writeImage(w, v); err != nil {
		return fmt.Errorf("state: backup: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("state: backup: %w", err)
	}
	return nil
}

// CheckBackup reads a backup to its end and returns what is in it. It is
// store.ErrCorrupt if any byte is not as it was written, and ErrBroken if a
// newer version of the program wrote it.
func CheckBackup(src io.Reader) (job.Manifest, error) {
	m, err := readManifest(src)
	if err != nil {
		return m, err
	}
	return m, scanState(src, &m, func(_, _ []byte) error { return nil })
}

// scanState calls each for every record of what comes behind the manifest, valid
// during the call. It is known whether the backup is whole once it returns.
func scanState(src io.Reader, m *job.Manifest, each func(key, value []byte) error) error {
	at, sum, err := scanImage(src, each)
	switch {
	case err != nil:
		return fmt.Errorf("state: backup: %w", err)
	case at.Index != m.Index:
		return fmt.Errorf("state: backup: it says that it ends with entry %d, and ends with %d: %w", m.Index, at.Index, store.ErrCorrupt)
	}
	m.SHA256 = hex.EncodeToString(sum)
	return nil
}

// readManifest reads what comes before the snapshot.
func readManifest(src io.Reader) (m job.Manifest, err error) {
	damaged := func(what string) (job.Manifest, error) {
		return m, fmt.Errorf("state: backup: %s: %w", what, store.ErrCorrupt)
	}
	head := make([]byte, len(backupMagic)+4)
	if _, err := io.ReadFull(src, head); err != nil {
		return damaged("it ends early")
	}
	same := 0 // how much of what it should begin with is there
	for same < len(backupMagic) && head[same] == backupMagic[same] {
		same++
	}
	switch {
	case same == len(backupMagic):
	case same == len(backupMagic)-2: // all but the version
		return m, fmt.Errorf("%w: backup of format %q, this program knows 1: restore it with the version that wrote it, or upgrade this one", ErrBroken, head[same])
	default:
		return damaged("it does not begin as one")
	}
	n := binary.BigEndian.Uint32(head[len(backupMagic):])
	if n > maxManifest {
		return damaged("its manifest is too long")
	}
	rest := make([]byte, int(n)+sha256.Size)
	if _, err := io.ReadFull(src, rest); err != nil {
		return damaged("it ends early")
	}
	body, sum := rest[:n], rest[n:]
	want := sha256.New()
	want.Write(head)
	want.Write(body)
	if !bytes.Equal(sum, want.Sum(nil)) {
		return damaged("the checksum of its manifest does not hold")
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return damaged("its manifest is no JSON")
	}
	if m.Layout > layoutVersion || m.Commands > wire.MaxCommandVersion {
		return m, fmt.Errorf("%w: the backup has layout %d and commands of version %d, this program knows %d and %d: upgrade it",
			ErrBroken, m.Layout, m.Commands, layoutVersion, wire.MaxCommandVersion)
	}
	return m, nil
}
