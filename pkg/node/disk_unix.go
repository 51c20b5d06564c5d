//go:build unix

package node

import "golang.org/x/sys/unix"

// freeDisk returns the bytes that can be written to the file system of dir,
// or 0 if that can't be known.
func freeDisk(dir string) int64 {
	free, _ := diskOf(dir)
	return free
}

// diskOf returns the bytes that can be written to the file system of dir, and
// those that it has, or 0 if that can't be known.
func diskOf(dir string) (free, size int64) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, 0
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize)
}
