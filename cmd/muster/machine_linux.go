package main

import (
	"io/fs"
	"syscall"
)

// kinds are the names of file systems that the doctor has an opinion of, and of
// the usual ones.
var kinds = map[int64]string{
	0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0xf2f52010: "f2fs", 0x794c7630: "overlay",
	0x01021994: "tmpfs", 0x858458f6: "ramfs", 0x6969: "nfs", 0xff534d42: "cifs", 0xfe534d42: "smb2", 0x65735546: "fuse", 0x01021997: "9p",
}

// fileSystem returns what kind of file system a path is on, or "" if that is not
// known.
func fileSystem(path string) string {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return ""
	}
	return kinds[int64(uint32(st.Type))]
}

// openFiles returns how many files a process may have open.
func openFiles() (n uint64, known bool) {
	var l syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return l.Cur, err == nil
}

// readable reports whether others than its owner can read a file.
func readable(m fs.FileMode) bool { return m.Perm()&0o077 != 0 }
