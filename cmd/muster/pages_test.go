package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// commands returns the command lines of muster that a page shows, in blocks or
// between backquotes.
func commands(page string) (all []string) {
	for line := range strings.Lines(page) {
		shown := strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		if strings.HasPrefix(line, "    ") && strings.HasPrefix(shown, "muster ") {
			all = append(all, shown)
			continue
		}
		for i, part := range strings.Split(line, "`") {
			if i%2 == 1 && strings.HasPrefix(part, "muster ") {
				all = append(all, part)
			}
		}
	}
	return all
}

// wordsOf cuts a command line as a shell does, as far as pages go.
func wordsOf(line string) (all []string) {
	line, _, _ = strings.Cut(line, "  #")
	quote, word, in := rune(0), "", false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, in = r, true
		case quote == 0 && (r == ' ' || r == '\n'):
			if in {
				all = append(all, word)
			}
			word, in = "", false
		default:
			word, in = word+string(r), true
		}
	}
	if in {
		all = append(all, word)
	}
	return all
}

func TestCommandsInPagesAreThoseOfTheBinary(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, page := range append(pages, "../../README.md", "../../examples/README.md") {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range commands(string(b)) {
			seen++
			verb, rest, err := command().Find(wordsOf(line)[1:])
			if err != nil || verb.HasSubCommands() && len(rest) > 0 && !strings.ContainsAny(rest[0], "-|") {
				t.Errorf("%s: %s: there is no such command, %v", filepath.Base(page), line, err)
				continue
			}
			verb.InitDefaultHelpFlag()
			for _, w := range rest {
				name, _, _ := strings.Cut(w, "=")
				switch long, is := strings.CutPrefix(name, "--"); {
				case is && verb.Flags().Lookup(long) == nil:
					t.Errorf("%s: %s: %s knows no %s", filepath.Base(page), line, verb.CommandPath(), name)
				case !is && len(name) == 2 && name[0] == '-' && verb.Flags().ShorthandLookup(name[1:]) == nil:
					t.Errorf("%s: %s: %s knows no %s", filepath.Base(page), line, verb.CommandPath(), name)
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("got %d commands in pages, want more: are they shown another way?", seen)
	}
}
