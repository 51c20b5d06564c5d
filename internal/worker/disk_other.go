//go:build !linux || !(amd64 || arm64)

package worker

import "os"

// advance would have the disk begin with a part of a file. Here Sync does all.
func advance(*os.File, int64, int64) {}
