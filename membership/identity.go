package membership

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const identityFile = "node-id"

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID makes up an ID: 128 random bits, 26 characters.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return idEncoding.EncodeToString(b[:])
}

// Identity returns the ID of the node whose data is in dir. The first call
// makes one up, 26 characters of a-z and 2-7, and keeps it in the file
// "node-id", creating dir if need be; two nodes that are started in one new
// directory at once get the same. A file that holds no ID is an error and not
// replaced, because a node that changes its ID loses what it owns.
func Identity(dir string) (string, error) {
	path := filepath.Join(dir, identityFile)
	id, err := readIdentity(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("membership: identity: %w", err)
	}
	tmp, err := writeTemp(path, []byte(newID()+"\n"))
	if err != nil {
		return "", fmt.Errorf("membership: identity: %w", err)
	}
	defer func() { _ = os.Remove(tmp) }()
	// A link fails if somebody else was first; not every file system has them.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(tmp, path); err != nil {
			return "", fmt.Errorf("membership: identity: %w", err)
		}
	}
	if err := syncDir(dir); err != nil {
		return "", fmt.Errorf("membership: identity: %w", err)
	}
	return readIdentity(path)
}

func readIdentity(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("membership: identity: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, 128))
	if err != nil {
		return "", fmt.Errorf("membership: identity: %w", err)
	}
	id := strings.TrimSuffix(string(b), "\n")
	if raw, err := idEncoding.DecodeString(id); err != nil || len(raw) != 16 {
		return "", fmt.Errorf("membership: identity: %q holds %q, not a node's ID of 26 characters a-z and 2-7: restore it from a backup, or remove it to make this a new node", path, clip(string(b)))
	}
	return id, nil
}

// replaceFile puts b into path, all of it or nothing, whatever happens.
func replaceFile(path string, b []byte) error {
	tmp, err := writeTemp(path, b)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// writeTemp writes b to a new file beside path, on disk when it returns.
func writeTemp(path string, b []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// syncDir makes the names in dir durable, where the system can do that.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
