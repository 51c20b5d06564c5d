//go:build unix

package node_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// TestSubmitRefusesFilesThatCanNotBeRead tries what even root can't read.
func TestSubmitRefusesFilesThatCanNotBeRead(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo, "wordcount": mapreduce.Of(wordCount{})})
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "link.txt")); err != nil {
		t.Skip(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.txt"), 0o600); err != nil {
		t.Skip(err)
	}
	for glob, texts := range map[string][]string{
		"link.txt": {"Input.Globs", "link.txt", "no such file", "a symbolic link to nothing", "leave it out"},
		"l*.txt":   {"Input.Globs", "link.txt", "no such file", "leave it out"},
		"pipe.txt": {"Input.Globs", "pipe.txt is no regular file", "name files"},
		"p*.txt":   {"Input.Globs", "pipe.txt is no regular file", "name files"},
	} {
		_, err := n.Submit(t.Context(), job.Spec{Processor: "wordcount", Input: job.Lines(filepath.Join(dir, glob))})
		says(t, err, texts...)
	}
	stillWorks(t, n)
}
