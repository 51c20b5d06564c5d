package host

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// A Disk is a file system of its own, in memory, which can be made to be as
// full as one likes. What is on it survives its users and is gone when this
// process is.
type Disk struct {
	dir  string
	size int64
}

// NewDisk mounts a disk of the given size at dir, which is made. It takes as
// much memory as is written to it.
func NewDisk(dir string, size int64) (*Disk, error) {
	if !Isolated() {
		return nil, ErrNot
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	if err := syscall.Mount("disk", dir, "tmpfs", syscall.MS_NOATIME, options(size)); err != nil {
		return nil, fmt.Errorf("host: disk at %s: %w", dir, err)
	}
	return &Disk{dir, size}, nil
}

func options(size int64) string { return "mode=0700,size=" + strconv.FormatInt(size, 10) }

// Squeeze leaves so many bytes free, as if somebody else had filled the rest.
func (d *Disk) Squeeze(free int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &fs); err != nil {
		return fmt.Errorf("host: disk at %s: %w", d.dir, err)
	}
	return d.resize(int64(fs.Blocks-fs.Bfree)*fs.Bsize + free)
}

// Release gives the disk its size back.
func (d *Disk) Release() error { return d.resize(d.size) }

// Close takes the disk away, with what is on it.
func (d *Disk) Close() error {
	if err := syscall.Unmount(d.dir, syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("host: disk at %s: %w", d.dir, err)
	}
	return nil
}

func (d *Disk) resize(size int64) error {
	if err := syscall.Mount("disk", d.dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_NOATIME, options(size)); err != nil {
		return fmt.Errorf("host: disk at %s of %d bytes: %w", d.dir, size, err)
	}
	return nil
}
