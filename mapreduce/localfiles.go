package mapreduce

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// staging is a directory, next to where files are to appear, for those that do
// not count yet. It is made when the first file is.
type staging struct {
	dir   string // where the files are to appear
	temp  string // where they are until then
	made  int
	parts bool              // whether the parts of an earlier run give way
	files map[string]string // from name to path below temp
}

// path returns a place for a new file.
func (s *staging) path() (string, error) {
	if s.dir == "" {
		return "", Permanent(errors.New("mapreduce: create a file: the run has no output directory: set Dir"))
	}
	if s.temp == "" {
		if err := os.MkdirAll(s.dir, 0o777); err != nil {
			return "", fmt.Errorf("mapreduce: output directory: %w", err)
		}
		temp, err := os.MkdirTemp(s.dir, ".muster-*")
		if err != nil {
			return "", fmt.Errorf("mapreduce: output directory: %w", err)
		}
		s.temp = temp
	}
	s.made++
	return filepath.Join(s.temp, strconv.Itoa(s.made)), nil
}

// add makes the files of an attempt count.
func (s *staging) add(files stagedFiles) {
	if s.files == nil {
		s.files = map[string]string{}
	}
	for name, f := range files.open {
		s.files[name] = f.Name()
	}
}

// publish moves the files that count to where they are to appear.
func (s *staging) publish() error {
	if s.parts {
		if err := s.dropParts(); err != nil {
			return fmt.Errorf("mapreduce: publish output: %w", err)
		}
	}
	for name, path := range s.files {
		final := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(final), 0o777); err != nil {
			return fmt.Errorf("mapreduce: publish output: %w", err)
		}
		if err := os.Rename(path, final); err != nil {
			return fmt.Errorf("mapreduce: publish output: %w", err)
		}
	}
	return nil
}

// dropParts removes the parts of an earlier run that had more partitions.
func (s *staging) dropParts() error {
	old, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range old {
		if part, _ := filepath.Match("part-[0-9][0-9][0-9][0-9][0-9]", e.Name()); part && s.files[e.Name()] == "" {
			err = errors.Join(err, os.Remove(filepath.Join(s.dir, e.Name())))
		}
	}
	return err
}

// discard removes what was not published.
func (s *staging) discard() {
	if s.temp != "" {
		os.RemoveAll(s.temp)
	}
}

// stagedFiles are the files of one attempt.
type stagedFiles struct {
	staging *staging
	open    map[string]*os.File
}

func (s *stagedFiles) create(name string) (io.WriteCloser, error) {
	if !filepath.IsLocal(name) || filepath.Clean(name) == "." {
		return nil, Permanent(fmt.Errorf("mapreduce: create file %q: want a name below the output directory", name))
	}
	name = filepath.Clean(name)
	if s.open[name] != nil || s.staging.files[name] != "" {
		return nil, Permanent(fmt.Errorf("mapreduce: create file %q: the run has one of that name: put the task's ID into it", name))
	}
	path, err := s.staging.path()
	if err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("mapreduce: create file %q: %w", name, err)
	}
	if s.open == nil {
		s.open = map[string]*os.File{}
	}
	s.open[name] = f
	return f, nil
}

// close closes what the attempt left open.
func (s *stagedFiles) close() error {
	for name, f := range s.open {
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return fmt.Errorf("mapreduce: close file %q: %w", name, err)
		}
	}
	return nil
}
