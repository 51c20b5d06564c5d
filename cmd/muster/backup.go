package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func backupCommand() *cobra.Command {
	var l listing
	var dir string
	c := visit(&cobra.Command{
		Use: "backup FILE", Short: "write what a cluster knows into a file", Args: args(1, 1),
		Long: `Backup writes jobs and their revisions, what became of their fires, runs and
their journals, tokens and the audit into a file, as they are at one moment, while
the cluster goes on. The file appears once it is whole and was checked. What runs
log, and the pairs between map and reduce, are no part of it.

With --dir it writes what a server has that was stopped and can't be asked any
more, because too few others are left.`,
		Example: `  muster backup ./muster-20260329.backup --join 127.0.0.1:7946
  muster backup ./last.backup --dir ./c`,
	}, func(ctx context.Context, n *node.Node, a []string) error {
		return l.backup(a[0], func(w io.Writer) error {
			_, err := n.Backup(ctx, w)
			return err
		})
	})
	ask := c.RunE
	c.RunE = func(c *cobra.Command, a []string) error {
		if dir == "" {
			return ask(c, a)
		}
		return l.backup(a[0], func(w io.Writer) error { return node.Rescue(dir, filepath.Dir(a[0]), w) })
	}
	c.Flags().StringVar(&dir, "dir", "", "data directory of a server that was stopped, instead of --join")
	return l.add(c)
}

// backup has write write a file that has its name once it is whole, and shows
// what is in it.
func (l *listing) backup(path string, write func(w io.Writer) error) (err error) {
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s is there already: name a new file: %w", path, errUsage)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	m, err := checkBackup(f.Name())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return l.manifest(&m)
}

func checkBackup(path string) (job.Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return job.Manifest{}, err
	}
	defer f.Close()
	return node.CheckBackup(f)
}

func (l *listing) manifest(m *job.Manifest) error {
	return l.show(m, "CLUSTER\tINDEX\tAT\tSHA-256", func(put func(...any)) {
		put(m.Cluster, m.Index, m.At.Format(time.RFC3339), m.SHA256)
	})
}

func restoreCommand() *cobra.Command {
	var l listing
	var dir string
	var check bool
	c := &cobra.Command{
		Use: "restore FILE --dir DIR", Short: "make a data directory of a backup, for a cluster that was lost", Args: args(1, 1),
		Long: `Restore checks a backup and makes a data directory of it. An agent that is started
there leads a new cluster with the same jobs, cursors, runs and tokens; others join
it with empty directories. Nodes of the old cluster are refused: stop them all
first, and remove their directories when the new one is well.

With --check it only looks whether the file is whole, and what is in it.`,
		Example: `  muster restore ./muster-20260329.backup --check
  muster restore ./muster-20260329.backup --dir ./a
  muster agent --name a --servers 3 --gossip 127.0.0.1:7946 --dir ./a`,
		RunE: func(_ *cobra.Command, a []string) error {
			switch {
			case check && dir != "":
				return fmt.Errorf("--check and --dir %q: want one of them: %w", dir, errUsage)
			case check:
				m, err := checkBackup(a[0])
				if err != nil {
					return err
				}
				return l.manifest(&m)
			case dir == "":
				return fmt.Errorf("--dir is missing: name the data directory to make: %w", errUsage)
			}
			f, err := os.Open(a[0])
			if err != nil {
				return err
			}
			defer f.Close()
			r, err := node.Restore(dir, f)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "%s holds the state of %s now. Start it with\n  muster agent --dir %s\nand the flags that its nodes had, without --join; the others join it with empty directories.\n", dir, r.At.Format(time.RFC3339), dir)
			return l.show(r, "CLUSTER\tOF CLUSTER\tINDEX\tAT\tNODE", func(put func(...any)) {
				put(r.NewCluster, r.Cluster, r.Index, r.At.Format(time.RFC3339), r.ID)
			})
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "data directory to make; it must not hold a state")
	c.Flags().BoolVar(&check, "check", false, "only check the file")
	return l.add(c)
}
