//go:build linux || darwin || freebsd

package store

import "syscall"

func freeSpace(dir string) (free, total uint64, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, 0, err
	}
	size := uint64(fs.Bsize)
	return uint64(max(fs.Bavail, 0)) * size, fs.Blocks * size, nil
}
