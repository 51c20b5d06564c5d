//go:build amd64 || arm64

package worker

import (
	"os"
	"syscall"
)

// What the system calls by numbers.
const (
	keepSize  = 1 // FALLOC_FL_KEEP_SIZE: room beyond the end of a file
	justBegin = 2 // SYNC_FILE_RANGE_WRITE: without waiting
)

// advance has the disk begin with n bytes of f, which are written from the given
// place on, and find room for as many after those. It does not wait. It is a hint:
// what comes of it, Write and Sync say.
func advance(f *os.File, from, n int64) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		_ = syscall.SyncFileRange(int(fd), from, n, justBegin)
		_ = syscall.Fallocate(int(fd), keepSize, from+n, n)
	})
}
