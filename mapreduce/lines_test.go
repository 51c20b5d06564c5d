package mapreduce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func compress(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// linesOf returns each line of s with its offset, as one string.
func linesOf(t *testing.T, s Split) []string {
	t.Helper()
	var all []string
	for line, err := range s.Lines(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d:%s", line.Offset, line.Text))
	}
	return all
}

// wantLines is what linesOf should return for data, found the simple way.
func wantLines(data []byte) []string {
	var all []string
	at := 0
	for _, line := range bytes.SplitAfter(data, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		text := string(line)
		if cut, ended := strings.CutSuffix(text, "\n"); ended {
			text = strings.TrimSuffix(cut, "\r")
		}
		all = append(all, fmt.Sprintf("%d:%s", at, text))
		at += len(line)
	}
	return all
}

func TestLinesKeepAllBytesButTheEnd(t *testing.T) {
	long := strings.Repeat("x", 3*lineBuffer+17)
	for _, test := range []struct {
		name, data string
		want       []string
	}{
		{"empty file", "", nil},
		{"one end", "\n", []string{"0:"}},
		{"no end", "a", []string{"0:a"}},
		{"unix", "a\nbc\n", []string{"0:a", "2:bc"}},
		{"dos", "a\r\nbc\r\n", []string{"0:a", "3:bc"}},
		{"last line without an end", "a\nbc", []string{"0:a", "2:bc"}},
		{"lone return stays", "a\rb\nc\r", []string{"0:a\rb", "4:c\r"}},
		{"one return goes", "a\r\r\n", []string{"0:a\r"}},
		{"empty lines", "\n\r\n\n", []string{"0:", "1:", "3:"}},
		{"any bytes", "\xff\x00\n\xef\xbb\xbf", []string{"0:\xff\x00", "3:\xef\xbb\xbf"}},
		{"longer than the buffer", long + "\n" + long, []string{"0:" + long, fmt.Sprintf("%d:%s", len(long)+1, long)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, data := range map[string][]byte{"f": []byte(test.data), "f.gz": compress(t, []byte(test.data))} {
				path := write(t, name, data)
				size := int64(len(data))
				for _, r := range []Range{{Path: path, Length: size, Size: size}, {Path: path, Length: -1}} {
					got := linesOf(t, Split{Ranges: []Range{r}})
					if !slices.Equal(got, test.want) {
						t.Errorf("%s, length %d: got %.200q, want %.200q", name, r.Length, got, test.want)
					}
				}
			}
		})
	}
}

func TestEveryCutOfAFileYieldsEachLineOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 100 {
		data := randomText(rnd)
		size := int64(len(data))
		path := write(t, "f", data)
		var splits []Split
		for at := int64(0); at < size; {
			n := min(1+rnd.Int64N(1+rnd.Int64N(size)), size-at)
			r := Range{Path: path, Offset: at, Length: n, Size: size}
			at += n
			if len(splits) > 0 && rnd.IntN(3) == 0 {
				last := &splits[len(splits)-1]
				last.Ranges = append(last.Ranges, r)
				continue
			}
			splits = append(splits, Split{Ranges: []Range{r}})
		}
		var got []string
		for _, s := range splits {
			got = append(got, linesOf(t, s)...)
		}
		if want := wantLines(data); !slices.Equal(got, want) {
			t.Fatalf("%d bytes in %d splits: got %d lines %.300q, want %d %.300q", size, len(splits), len(got), got, len(want), want)
		}
	}
}

// randomText has short lines, empty ones, and now and then one that is longer
// than a buffer.
func randomText(rnd *rand.Rand) []byte {
	var b bytes.Buffer
	for range rnd.IntN(40) {
		n := rnd.IntN(12)
		if rnd.IntN(30) == 0 {
			n = rnd.IntN(2 * lineBuffer)
		}
		for range n {
			b.WriteByte("abc\r \xff"[rnd.IntN(6)])
		}
		b.WriteString([]string{"\n", "\r\n", "\n\n"}[rnd.IntN(3)])
	}
	if rnd.IntN(2) == 0 {
		b.WriteString("tail")
	}
	return b.Bytes()
}

func TestLinesNameFileAndOffsetOfALineTooLong(t *testing.T) {
	path := write(t, "f", append([]byte("a\n"), bytes.Repeat([]byte("x"), MaxLine+1)...))
	ok := write(t, "ok", append(bytes.Repeat([]byte("x"), MaxLine), "\r\n"...))
	if got := linesOf(t, Split{Ranges: []Range{{Path: ok, Length: -1}}}); len(got) != 1 {
		t.Errorf("got %d lines of the largest size, want 1", len(got))
	}
	err := lastError(Split{Ranges: []Range{{Path: path, Length: -1}}}.Lines(t.Context()))
	if !IsPermanent(err) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "byte 2 ") {
		t.Errorf("got %v, want a permanent error that names %s and byte 2", err, path)
	}
	// A range that only passes over the rest of the line does not mind it.
	if got := linesOf(t, Split{Ranges: []Range{{Path: path, Offset: 10, Length: 100}}}); got != nil {
		t.Errorf("got %d lines, want none", len(got))
	}
}

func lastError[T any](seq func(func(T, error) bool)) (last error) {
	seq(func(_ T, err error) bool {
		last = err
		return true
	})
	return last
}

func TestBadRangesAreNamed(t *testing.T) {
	dir := t.TempDir()
	plain := write(t, "plain", []byte("some text\n"))
	notGzip := write(t, "text.gz", []byte("some text\n"))
	for _, test := range []struct {
		name      string
		r         Range
		permanent bool
		want      string
	}{
		{"missing", Range{Path: filepath.Join(dir, "none"), Length: -1}, false, "every node"},
		{"directory", Range{Path: dir, Length: -1}, true, "is a directory"},
		{"no path", Range{}, true, "no path"},
		{"negative", Range{Path: plain, Offset: -1}, true, "negative"},
		{"shrunk", Range{Path: plain, Length: 20, Size: 20}, false, "10 bytes and had 20"},
		{"cut gzip", Range{Path: notGzip, Offset: 3, Length: 3}, true, "from its start"},
		{"not gzip", Range{Path: notGzip, Length: -1}, false, "gzip"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := Split{Ranges: []Range{test.r}}
			for _, err := range []error{lastError(s.Lines(t.Context())), lastError(s.Files(t.Context()))} {
				if err == nil || !strings.Contains(err.Error(), test.want) || IsPermanent(err) != test.permanent {
					t.Errorf("got %v (permanent: %v), want one with %q (%v)", err, IsPermanent(err), test.want, test.permanent)
				}
			}
		})
	}
}

func TestAttemptsSeeTheFileAsItWasAccepted(t *testing.T) {
	path := write(t, "log", []byte("a\nb"))
	r := Range{Path: path, Length: 3, Size: 3}
	if err := os.WriteFile(path, []byte("a\nbc\nd\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, want := linesOf(t, Split{Ranges: []Range{r}}), []string{"0:a", "2:b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for f, err := range (Split{Ranges: []Range{r}}).Files(t.Context()) {
		if string(f.Data) != "a\nb" || err != nil {
			t.Errorf("got %q and %v, want what was there", f.Data, err)
		}
	}
}

func TestFilesAreWholeAndDecompressed(t *testing.T) {
	text := bytes.Repeat([]byte("some text\n"), 1000)
	s := Split{Whole: true, Ranges: []Range{
		{Path: write(t, "a", text), Length: int64(len(text)), Size: int64(len(text))},
		{Path: write(t, "empty", nil)},
		{Path: write(t, "b.gz", compress(t, text)), Length: 10},
	}}
	var got []int
	for f, err := range s.Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, len(f.Data))
	}
	if want := []int{len(text), 0, len(text)}; !slices.Equal(got, want) {
		t.Errorf("got %v bytes, want %v", got, want)
	}
}

func TestFilesRefuseWhatIsCutOrTooLarge(t *testing.T) {
	for name, r := range map[string]Range{
		"cut into ranges": {Path: write(t, "cut", []byte("some text")), Length: 4},
		"too many":        {Path: write(t, "large", make([]byte, MaxFile+1)), Length: -1},
		"more than":       {Path: write(t, "large.gz", bytes.Repeat(compress(t, make([]byte, 1<<20)), MaxFile>>20+1)), Length: -1},
	} {
		err := lastError(Split{Whole: true, Ranges: []Range{r}}.Files(t.Context()))
		if !IsPermanent(err) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), r.Path) {
			t.Errorf("got %v, want a permanent error with %q", err, name)
		}
	}
}

func TestReadingStopsWithItsContext(t *testing.T) {
	path := write(t, "f", bytes.Repeat([]byte("some text\n"), lineBuffer))
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	n := 0
	var last error
	for _, err := range (Split{Ranges: []Range{{Path: path, Length: -1}}}).Lines(ctx) {
		if n++; n == 1 {
			cancel(cause)
		}
		last = err
	}
	if !errors.Is(last, cause) || n > lineBuffer {
		t.Errorf("got %v after %d lines, want %v within a buffer", last, n, cause)
	}
}

// counter is a Runtime that is told how much was read.
type counter struct {
	Runtime
	n int64
}

func (c *counter) Read(n int64) { c.n += n }

func TestTheRuntimeHearsHowMuchWasRead(t *testing.T) {
	text := bytes.Repeat([]byte("some text\n"), 100_000)
	small := compress(t, text)
	path, gz := write(t, "f", text), write(t, "f.gz", small)
	half := int64(len(text)) / 2
	c := &counter{}
	ctx := WithTask(t.Context(), &Task{Runtime: c})
	for _, s := range []Split{
		{Ranges: []Range{{Path: path, Length: half}, {Path: path, Offset: half, Length: -1}}},
		{Ranges: []Range{{Path: gz, Length: 10}}},
	} {
		if err := lastError(s.Lines(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	if want := int64(len(text) + len(small)); c.n != want {
		t.Errorf("got %d bytes, want %d", c.n, want)
	}
}

func TestLinesOfALargeFileNeedLittleMemory(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunk := bytes.Repeat([]byte("some text of a line\n"), 1<<14)
	for range 100 {
		if _, err := f.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	size, _ := f.Seek(0, io.SeekCurrent)
	s := Split{Ranges: []Range{{Path: f.Name(), Length: size}}}
	allocs := testing.AllocsPerRun(1, func() {
		for _, err := range s.Lines(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs > 50 {
		t.Errorf("%.0f allocations for %d bytes, want a handful", allocs, size)
	}
}

func BenchmarkLines(b *testing.B) {
	path := filepath.Join(b.TempDir(), "f")
	text := bytes.Repeat([]byte("some text of a line that is of the usual length, more or less\n"), 1<<18)
	if err := os.WriteFile(path, text, 0o666); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for line := range (Split{Ranges: []Range{{Path: path, Length: -1}}}).Lines(b.Context()) {
			n += len(line.Text) + 1
		}
		if n != len(text) {
			b.Fatalf("got %d bytes, want %d", n, len(text))
		}
	}
}
