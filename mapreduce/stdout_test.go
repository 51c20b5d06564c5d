package mapreduce

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestWhatAProcessWritesIsLoggedLineByLine(t *testing.T) {
	var b bytes.Buffer
	task := &Task{Log: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))}
	task.Flush() // of nothing
	out := task.Stdout()
	for _, piece := range []string{"one\ntw", "o\r\n", "\n", strings.Repeat("x", maxLine+2) + "\n", strings.Repeat("x", maxLine) + "\n", "no", " end"} {
		if n, err := fmt.Fprint(out, piece); n != len(piece) || err != nil {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(piece), err)
		}
	}
	fmt.Fprintln(task.Stderr(), "oh")
	task.Flush()
	task.Flush()
	long := strings.Repeat("x", maxLine)
	want := "level=INFO msg=one stream=stdout\nlevel=INFO msg=two stream=stdout\nlevel=INFO msg=\"\" stream=stdout\n" +
		"level=INFO msg=" + long + " stream=stdout\nlevel=INFO msg=xx stream=stdout\nlevel=INFO msg=" + long + " stream=stdout\n" +
		"level=WARN msg=oh stream=stderr\nlevel=INFO msg=\"no end\" stream=stdout\n"
	if got := b.String(); got != want {
		t.Errorf("got %q, want %q", strings.ReplaceAll(got, long, "(long)"), strings.ReplaceAll(want, long, "(long)"))
	}
}
