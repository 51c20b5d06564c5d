package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// sweep removes the empty files that a crash between creating and sizing a
// file leaves behind. They hold nothing, but badger does not open with them.
func sweep(dir string) (swept []string, err error) {
	for _, pattern := range []string{"*.vlog", "*.mem"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return swept, err
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return swept, err
			}
			if info.Mode().IsRegular() && info.Size() == 0 {
				if err := os.Remove(f); err != nil {
					return swept, err
				}
				swept = append(swept, f)
			}
		}
	}
	return swept, nil
}
