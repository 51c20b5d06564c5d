package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/worker"
	"github.com/musterhq/muster/pkg/job"
)

// winner is the attempt of a task that counts, with the files it created.
type winner struct {
	attempt job.AttemptID
	files   []string
}

// won notes the files of an attempt that counts.
func (c *conductor) won(epoch uint64, o *job.Outcome) {
	if o.Failure == nil && len(o.Files) > 0 {
		c.files = append(c.files, winner{job.AttemptID{Run: c.run.ID, Task: o.Task, Epoch: epoch, N: o.Attempt}, o.Files})
	}
}

// commitFiles moves the files of the attempts that count to where the job
// wants them. Each file appears whole or not at all, and the file _SUCCESS
// when all have. A master that takes over does what the one before it left.
func (c *conductor) commitFiles() error {
	dir := c.run.Spec.Output.Dir
	if dir == "" {
		return nil
	}
	from := map[string]string{}
	for _, w := range c.files {
		for _, name := range w.files {
			if other, taken := from[name]; taken && other != worker.AttemptDir(dir, w.attempt) {
				return fmt.Errorf("node: two tasks created the file %q in Output.Dir %q: put the task's ID into the name", name, dir)
			}
			from[name] = worker.AttemptDir(dir, w.attempt)
		}
	}
	if err := os.Remove(filepath.Join(dir, "_SUCCESS")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("node: Output.Dir: %w", err) // of an earlier run, whose files are replaced
	}
	if c.run.Spec.Output.Format != "" {
		if err := dropParts(dir, from); err != nil {
			return fmt.Errorf("node: Output.Dir: %w", err)
		}
	}
	for name, staged := range from {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("node: Output.Dir: %w", err)
		}
		err := os.Rename(filepath.Join(staged, filepath.FromSlash(name)), to)
		if errors.Is(err, fs.ErrNotExist) && c.run.Epoch > 1 {
			if _, there := os.Stat(to); there == nil {
				continue // moved by the master before this one
			}
		}
		if err != nil {
			return fmt.Errorf("node: Output.Dir: commit %q: %w: every node must see the directory under the same name", name, err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("node: Output.Dir: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "_SUCCESS"), []byte(string(c.run.ID)+"\n"), 0o644); err != nil {
		return fmt.Errorf("node: Output.Dir: %w", err)
	}
	c.dropFiles()
	return syncDir(dir)
}

// dropParts removes the parts that an earlier run with more partitions left in
// dir: whoever reads all parts would count its keys too.
func dropParts(dir string, keep map[string]string) error {
	old, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range old {
		part, _ := filepath.Match("part-[0-9][0-9][0-9][0-9][0-9]", e.Name())
		if _, ours := keep[e.Name()]; part && !ours {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// dropFiles removes what attempts left that do not count.
func (c *conductor) dropFiles() {
	if dir := c.run.Spec.Output.Dir; dir != "" {
		if err := os.RemoveAll(worker.StagingDir(dir, c.run.ID)); err != nil {
			c.log.Warn("staged files could not be removed", telemetry.Err(err))
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
