package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWordsAreCountedInOrder(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "be 2\nnot 1\nor 1\nto 2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFilesAreCountedByGlob(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "the rest\nis", "b.txt": "silence is the rest\n", "c.md": "not this\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := run(t.Context(), &out, filepath.Join(dir, "*.txt")); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "is 2\nrest 2\nsilence 1\nthe 2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAFileThatIsNotThereIsNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "hamlet.txt")
	if err := run(t.Context(), &strings.Builder{}, missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v, want an error that names %s", err, missing)
	}
}
