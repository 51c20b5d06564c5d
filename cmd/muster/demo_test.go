package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
)

// TestDemoAgreesWithOneGoroutine runs the demo on a small directory. The demo
// checks its own results and fails if they are not equal.
func TestDemoAgreesWithOneGoroutine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "texts")
	if runtime.GOOS != "windows" { // where names can't have them
		dir += ` [a-z]{b,c}*\?*` + "**"
	}
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
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Logf("without a link: %v", err)
		link = dir
	}
	for _, dir := range []string{dir, link} {
		showDemo(t, dir)
	}
}

func showDemo(t *testing.T, dir string) {
	t.Helper()
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

// TestDemoCountsAFileThatIsTooLargeForTheIndex has one without a word, but for
// the last.
func TestDemoCountsAFileThatIsTooLargeForTheIndex(t *testing.T) {
	dir := t.TempDir()
	line := append(bytes.Repeat([]byte(" "), 1<<20-1), '\n')
	f, err := os.Create(filepath.Join(dir, "large.txt"))
	for i := 0; err == nil && i < mapreduce.MaxFile>>20; i++ {
		_, err = f.Write(line)
	}
	if err == nil {
		_, err = f.WriteString("end\n")
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	out, _, err := execute(t, "demo", dir)
	for _, want := range []string{"1 words, 1 different", "index: left out", "large.txt", "single-threaded count: equal"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("got %v and %q, want %q in it", err, out, want)
		}
	}
}

func TestDemoOfNoTextsSaysSoBeforeItStarts(t *testing.T) {
	empty := t.TempDir()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		empty: "there are no files under", file: "is no directory", filepath.Join(empty, "gone"): "name a directory that can be read",
	} {
		out, _, err := execute(t, "demo", dir)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Base(dir)) || out != "" {
			t.Errorf("%s: got %q, %v, want an error that says %q", dir, out, err, want)
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
