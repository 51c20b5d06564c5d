package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/musterhq/muster/mapreduce"
)

// What an attempt may create. The names travel with its outcome.
const (
	maxFiles    = 1000
	maxFileName = 200 // bytes
)

const fileBuffer = 64 << 10

// advanceBytes is how much of a file is written before the disk is told to begin
// with it. An attempt that leaves all of that to Close waits there with nothing
// else to do.
const advanceBytes = 8 << 20

// files is what an attempt creates.
type files struct {
	mu    sync.Mutex
	root  *os.Root // guarded by mu: the output directory; nil if nothing was created
	dir   *os.Root // guarded by mu: the attempt's directory
	path  string   // guarded by mu: of dir in root
	all   []*file  // guarded by mu: in the order of their creation
	ended bool     // guarded by mu
}

// Create opens a file for the output directory of the run.
func (a *attempt) Create(name string) (io.WriteCloser, error) {
	f, err := a.files.create(a, name)
	if err != nil {
		return nil, fmt.Errorf("worker: create %q: %w", cut(name, maxFileName), err)
	}
	return f, nil
}

func (s *files) create(a *attempt, name string) (*file, error) {
	name, err := cleanFileName(name)
	if err != nil {
		return nil, mapreduce.Permanent(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.ctx.Err() != nil:
		return nil, context.Cause(a.ctx) // what it would leave, nobody would remove
	case s.ended:
		return nil, errors.New("the attempt has ended: create files before Process returns")
	case len(s.all) >= maxFiles:
		return nil, mapreduce.Permanent(fmt.Errorf("the attempt has created %d files, which is the most it may: write more into each", maxFiles))
	}
	if err := s.openLocked(a); err != nil {
		return nil, err
	}
	if sub := filepath.Dir(name); sub != "." {
		if err := s.dir.MkdirAll(sub, 0o777); err != nil {
			return nil, err
		}
	}
	out, err := s.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, mapreduce.Permanent(errors.New("the attempt has created a file of that name before"))
	}
	if err != nil {
		return nil, err
	}
	f := &file{name: name, out: out, buf: bufio.NewWriterSize(out, fileBuffer)}
	s.all = append(s.all, f)
	return f, nil
}

// openLocked makes the attempt's directory when it is first needed.
func (s *files) openLocked(a *attempt) (err error) {
	if s.dir != nil {
		return nil
	}
	dir := a.batch.Run.Spec.Output.Dir
	if dir == "" {
		return mapreduce.Permanent(errors.New("the job has no Output.Dir: name a directory that every node sees"))
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if s.root == nil {
		if s.root, err = os.OpenRoot(dir); err != nil {
			return err
		}
	}
	s.path = filepath.Join(stagingName(a.run.id), attemptName(a.id()))
	// Nobody else has this attempt. What is there is from a try that the node
	// did not survive.
	if err := s.root.RemoveAll(s.path); err != nil {
		return err
	}
	if err := s.root.MkdirAll(s.path, 0o777); err != nil {
		return err
	}
	s.dir, err = s.root.OpenRoot(s.path)
	return err
}

// cleanFileName returns the one way to write name, if a file may be called that.
func cleanFileName(name string) (string, error) {
	if n := len(name); n < 1 || n > maxFileName {
		return "", fmt.Errorf("the name has %d bytes: want 1 to %d", n, maxFileName)
	}
	clean := filepath.Clean(name)
	if !filepath.IsLocal(name) || clean == "." || strings.ContainsRune(name, 0) {
		return "", errors.New("want a name below the output directory")
	}
	if strings.HasPrefix(clean, staging) || clean == success {
		return "", fmt.Errorf("%s and names that begin with %s are taken", success, staging)
	}
	return clean, nil
}

// commit closes all files and makes them durable. It returns their names.
func (s *files) commit() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.root == nil {
		return nil, nil
	}
	names := make([]string, len(s.all))
	for i, f := range s.all {
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("worker: file %q: %w", f.name, err)
		}
		names[i] = filepath.ToSlash(f.name)
	}
	if err := s.syncDirsLocked(); err != nil {
		return nil, fmt.Errorf("worker: output directory: %w", err)
	}
	return names, nil
}

// syncDirsLocked makes durable where the files are to be found.
func (s *files) syncDirsLocked() error {
	synced := map[string]bool{}
	for _, f := range s.all {
		for dir := filepath.Dir(filepath.Join(s.path, f.name)); !synced[dir]; dir = filepath.Dir(dir) {
			if err := syncDir(s.root, dir); err != nil {
				return err
			}
			synced[dir] = true
		}
	}
	return nil
}

func syncDir(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	// Not every file system can sync a directory, and those that can't need
	// not be told to.
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return errors.Join(err, d.Close())
	}
	return d.Close()
}

// discard removes all that the attempt has created.
func (s *files) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.root == nil {
		return
	}
	for _, f := range s.all {
		f.drop()
	}
	if s.dir != nil {
		// What can't be removed now goes with the directory when the run ends.
		_ = s.root.RemoveAll(s.path)
	}
	s.releaseLocked()
}

// release lets go of the directories.
func (s *files) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked()
}

func (s *files) releaseLocked() {
	if s.dir != nil {
		_ = s.dir.Close()
	}
	if s.root != nil {
		_ = s.root.Close()
	}
	s.dir, s.root, s.all = nil, nil, nil
}

// file is a file that an attempt creates.
type file struct {
	name string

	mu  sync.Mutex
	out *os.File      // guarded by mu: nil once it is closed
	buf *bufio.Writer // guarded by mu
	err error         // guarded by mu: why it is not as it should be

	written int64 // guarded by mu
	begun   int64 // guarded by mu: of that the disk has been told to begin with
}

// Write appends p.
func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out == nil {
		return 0, fs.ErrClosed
	}
	n, err := f.buf.Write(p)
	if err != nil {
		f.err = err
	}
	f.written += int64(n)
	for f.written-fileBuffer >= f.begun+advanceBytes { // but for what buf may still have
		advance(f.out, f.begun, advanceBytes)
		f.begun += advanceBytes
	}
	return n, err
}

// Close makes the file durable. Another Close returns the same.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out == nil {
		return f.err
	}
	err := f.buf.Flush()
	if err == nil && f.begun > 0 {
		err = f.out.Truncate(f.written) // gives back the room that was not needed
	}
	if err == nil {
		err = f.out.Sync()
	}
	f.err = errors.Join(err, f.out.Close())
	f.out, f.buf = nil, nil
	return f.err
}

// drop closes the file, whatever is in it.
func (f *file) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out != nil {
		_ = f.out.Close()
		f.out, f.buf, f.err = nil, nil, fs.ErrClosed
	}
}
