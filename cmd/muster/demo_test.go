package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDemoAgreesWithOneGoroutine runs the demo on a small directory. The demo
// checks its own results and fails if they are not equal.
func TestDemoAgreesWithOneGoroutine(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.txt": "To be, or not to be:\nthat is the question", "b.txt": "", "sub/c.txt": "snake_case 42 na\xefve\r\nTO BE\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	d := demo{dir: dir, top: 2, log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if err := d.run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 nodes found each other", "single-threaded count: equal", "             3  be\n             3  to\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not say %q:\n%s", want, &out)
		}
	}
}

func TestWordsAreRunsOfLettersDigitsAndUnderscoresInLowerCase(t *testing.T) {
	got := strings.Join(collect("Don't  x_1\xffYZ--9\n"), "|")
	if want := "don|t|x_1|yz|9"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func collect(text string) (all []string) {
	for w := range words([]byte(text)) {
		all = append(all, w)
	}
	return all
}
