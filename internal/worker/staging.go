package worker

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// staging is how the names of directories begin that are not output yet.
const staging = ".muster-"

// success is the file that says that all others are there.
const success = "_SUCCESS"

// StagingDir returns the directory under dir, the output directory of a run,
// that holds what its attempts have created until the run succeeds. Different
// runs have different ones.
func StagingDir(dir string, run job.RunID) string {
	return filepath.Join(dir, stagingName(run))
}

// AttemptDir returns the directory that holds what one attempt has created.
func AttemptDir(dir string, a job.AttemptID) string {
	return filepath.Join(dir, stagingName(a.Run), attemptName(a))
}

func attemptName(a job.AttemptID) string { return fmt.Sprintf("%v-%d-%d", a.Task, a.Epoch, a.N) }

// stagingName makes a file name of run that no other run has: a slash becomes
// an underscore, and what has no place in a name, its code.
func stagingName(run job.RunID) string {
	const most = 180 // bytes; file systems take 255
	var b strings.Builder
	b.WriteString(staging)
	for i := range len(run) {
		switch c := run[i]; {
		case c == '/':
			b.WriteByte('_')
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '@':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= most {
		return b.String()
	}
	return fmt.Sprintf("%s%%~%016x", b.String()[:most], sharding.Hash([]byte(run)))
}
