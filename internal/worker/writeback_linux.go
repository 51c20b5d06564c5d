//go:build amd64 || arm64

package worker

import (
	"os"
	"syscall"
)

// startWriteback has the system begin to write n bytes of f to the disk, and does
// not wait for it. It is a hint: what comes of it, Sync says.
func startWriteback(f *os.File, from, n int64) {
	const write = 2 // SYNC_FILE_RANGE_WRITE
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _ = syscall.SyncFileRange(int(fd), from, n, write) })
}
