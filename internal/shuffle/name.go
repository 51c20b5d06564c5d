package shuffle

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/musterhq/muster/pkg/job"
)

const (
	maxRunID   = 1 << 10 // bytes of a run's ID
	maxName    = 180     // bytes of a directory's name, of the 255 that file systems allow
	goneSuffix = ".gone" // of a directory that is being deleted
)

// escape returns id as a name that is safe in any path, and the same for no
// other id.
func escape(id string) string {
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= maxName {
		return b.String()
	}
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%s~%x", b.String()[:maxName-40], sum[:16])
}

// ours matches the names of the directories that a shuffle makes.
var ours = regexp.MustCompile(`^[A-Za-z0-9._%~-]+\+[0-9]+(\.gone)?$`)

// sweep deletes the directories in dir that a shuffle made, and only those:
// dir may be a directory that holds something else by mistake.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && ours.MatchString(e.Name()) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// outputName is the name of the file that holds a map output.
func outputName(id job.MapOutputID) string {
	return fmt.Sprintf("m%d.e%d.a%d", id.Task, id.Epoch, id.Attempt)
}

func (r *run) path(id job.MapOutputID) string { return filepath.Join(r.dir, outputName(id)) }
