//go:build unix

package node

import "golang.org/x/sys/unix"

// freeDisk returns the bytes that can be written to the file system of dir,
// or 0 if that can't be known.
func freeDisk(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
