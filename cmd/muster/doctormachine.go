package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/musterhq/muster/internal/certs"
	"github.com/musterhq/muster/internal/store"
)

const (
	// fewFiles is too few files that are open at a time for any node, someFiles
	// for a server with many peers and much state.
	fewFiles  = 1024
	someFiles = 8192
	// slowSync is how long a disk takes that makes all writes slow.
	slowSync = 50 * time.Millisecond
	// certSoon is how long before its end a certificate is worth a warning.
	certSoon = 14 * 24 * time.Hour
)

// machine looks at what a node needs of the machine.
func (f *findings) machine(dir string) {
	f.openFiles(openFiles())
	if dir == "" {
		f.add("data directory", skipped, "", "give --dir to look at it")
		return
	}
	at, err := existing(dir)
	if err != nil {
		f.add("data directory", failed, "name a directory that can be made and written", "%v", err)
		return
	}
	f.written(dir, at)
	f.fileSystem(at, fileSystem(at))
	f.room(at)
}

// existing returns dir or, if it is not there yet, the directory that it would be
// made in.
func existing(dir string) (string, error) {
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && info.IsDir():
			return dir, nil
		case err == nil:
			return "", fmt.Errorf("%s is no directory", dir)
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
		up := filepath.Dir(filepath.Clean(dir))
		if up == dir {
			return "", err
		}
		dir = up
	}
}

// written writes to a directory and waits for the disk.
func (f *findings) written(dir, at string) {
	const remedy = "let the agent's user own the directory: it writes there and nowhere else"
	file, err := os.CreateTemp(at, ".muster-doctor-*")
	if err != nil {
		f.add("data directory", failed, remedy, "%s can't be written: %v", at, err)
		return
	}
	defer os.Remove(file.Name())
	began := time.Now()
	_, err = file.Write(make([]byte, 4096))
	err = errors.Join(err, file.Sync())
	took := time.Since(began).Round(100 * time.Microsecond)
	if err = errors.Join(err, file.Close()); err != nil {
		f.add("data directory", failed, remedy, "%s can't be written: %v", at, err)
		return
	}
	where := dir
	if at != dir {
		where = dir + ", which is made at the start,"
	}
	if took > slowSync {
		f.add("data directory", warning, "use a disk that syncs faster: each write of a server waits for that", "%s is written, and the disk took %v to sync", where, took)
		return
	}
	f.add("data directory", healthy, "", "%s is written and synced in %v", where, took)
}

// fileSystem judges what kind of file system a data directory is on.
func (f *findings) fileSystem(at, kind string) {
	switch kind {
	case "":
		f.add("file system", skipped, "", "this system does not tell")
	case "tmpfs", "ramfs":
		f.add("file system", warning, "name a directory on a disk for a node that holds the state", "%s is in memory, on %s: what is there is gone when the machine is", at, kind)
	case "nfs", "cifs", "smb2", "fuse", "9p":
		f.add("file system", warning, "use a disk of the machine: locks and syncs over a network fail in ways that lose data", "%s is on %s", at, kind)
	default:
		f.add("file system", healthy, "", "%s is on %s", at, kind)
	}
}

// room looks at how much of a disk is free.
func (f *findings) room(at string) {
	space := store.NewSpace(at)
	reserve := space.Reserve()
	const remedy = "free space: a server refuses new runs with less free than its reserve, 5 % or 1 GiB, whichever is more"
	switch {
	case reserve == 0:
		f.add("free space", skipped, "", "this system does not tell")
	case space.Room(0, reserve) != nil:
		f.add("free space", failed, remedy, "less than the reserve of %s is free", bytesText(uint64(reserve)))
	case space.Room(reserve, reserve) != nil:
		f.add("free space", warning, remedy, "less than twice the reserve of %s is free", bytesText(uint64(reserve)))
	default:
		f.add("free space", healthy, "", "more than twice the reserve of %s is free", bytesText(uint64(reserve)))
	}
}

// openFiles judges how many files a process may have open.
func (f *findings) openFiles(n uint64, known bool) {
	const remedy = "raise the limit, as with LimitNOFILE=65536 in the unit, or ulimit -n"
	switch {
	case !known:
		f.add("open files", skipped, "", "this system does not tell")
	case n < fewFiles:
		f.add("open files", failed, remedy, "a process may have %d open", n)
	case n < someFiles:
		f.add("open files", warning, remedy, "a process may have %d open, which many peers use up", n)
	default:
		f.add("open files", healthy, "", "a process may have %d open", n)
	}
}

// trusted looks at what a node shows others.
func (f *findings) trusted(dir string, now time.Time) {
	if dir == "" {
		f.add("certificate", skipped, "", "give --tls to look at it; without it RPC is not encrypted")
		return
	}
	const remedy = "have another issued with muster tls issue, and copy it over this one: it is taken without a restart"
	id, err := certs.Open(certs.InDir(dir))
	if err != nil {
		f.add("certificate", failed, remedy, "%v", err)
		return
	}
	switch left := id.Until().Sub(now); {
	case left <= 0:
		f.add("certificate", failed, remedy, "it ended at %s", id.Until().Format(time.RFC3339))
	case left < certSoon:
		f.add("certificate", warning, remedy, "it ends at %s", id.Until().Format(time.RFC3339))
	default:
		f.add("certificate", healthy, "", "it is good until %s", id.Until().Format(time.RFC3339))
	}
	f.secret(certs.InDir(dir).Key, filepath.Join(dir, fileKeys))
	if _, err := os.Stat(filepath.Join(dir, certs.FileKey)); err == nil {
		f.add("authority", failed, "keep it on a machine of yours, off the nodes: whoever has it lets others in", "the key of the authority is in %s", dir)
	}
}

// secret looks whether files are nobody else's to read.
func (f *findings) secret(files ...string) {
	for _, path := range files {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			f.add("secrets", failed, "copy the whole directory that muster tls issue wrote", "%v", err)
			return
		case readable(info.Mode()):
			f.add("secrets", failed, "chmod 600 "+path, "%s can be read by others than its owner", path)
			return
		}
	}
	f.add("secrets", healthy, "", "nobody but their owner can read them")
}
