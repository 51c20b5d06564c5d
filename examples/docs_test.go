package examples

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// code returns lines without what they are indented by, and without empty ones.
func code(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// blocks returns the Go code in a page.
func blocks(page string) (all []string) {
	for {
		_, rest, ok := strings.Cut(page, "```go\n")
		if !ok {
			return all
		}
		block, after, _ := strings.Cut(rest, "```")
		all, page = append(all, block), after
	}
}

// has reports whether part is somewhere in whole, in one piece.
func has(whole, part []string) bool {
	for at := range whole {
		if len(whole)-at >= len(part) && slices.Equal(whole[at:at+len(part)], part) {
			return true
		}
	}
	return false
}

// TestCodeInPagesIsThatOfExamples keeps what pages show from being something that
// does not compile, or that nobody has run.
func TestCodeInPagesIsThatOfExamples(t *testing.T) {
	var files [][]string
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		b, err := os.ReadFile(path)
		files = append(files, code(string(b)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"EMBEDDING.md", "PROCESSORS.md"} {
		b, err := os.ReadFile(filepath.Join("..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		all := blocks(string(b))
		if len(all) == 0 {
			t.Errorf("%s shows no code", page)
		}
		for _, block := range all {
			if !slices.ContainsFunc(files, func(file []string) bool { return has(file, code(block)) }) {
				t.Errorf("%s: no example has this:\n%s", page, block)
			}
		}
	}
}
