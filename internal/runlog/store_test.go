package runlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

func TestLinesSurviveTheStoreAndComeInOrderHoweverTheyCame(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	var want []string
	chance := rand.New(rand.NewPCG(1, 1))
	numbers := chance.Perm(2500)
	for part := range slices.Chunk(numbers, 7) {
		var lines []job.LogLine
		for _, n := range part {
			lines = append(lines, line(n))
		}
		add(t, s, batch("n/a@1", lines...), batch("n/b@1", line(1)))
		if chance.IntN(3) == 0 {
			add(t, s, batch("n/a@1", lines...)) // its answer was lost
		}
	}
	for i := range numbers {
		want = append(want, fmt.Sprint(i))
	}
	for life := range 2 {
		if life > 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, Config{Dir: dir})
		}
		for _, back := range []bool{false, true} {
			var got []string
			for q := (job.LogQuery{Limit: 99, Backward: back}); ; {
				texts, lines, more := read(t, s, "n/a@1", q)
				if got = append(got, texts...); !more {
					break
				}
				q.Cursor = lines[len(lines)-1].Cursor()
			}
			if back {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("life %d, backward %v: got %d lines, not the %d in order", life, back, len(got), len(want))
			}
		}
	}
	if got, _, _ := read(t, s, "n/b@1", job.LogQuery{}); !slices.Equal(got, []string{"1"}) {
		t.Errorf("got %q of the other run", got)
	}
}

func TestAPageOfLongLinesIsShortAndSaysThatThereIsMore(t *testing.T) {
	s := open(t, Config{})
	for n := range 800 {
		l := line(n)
		l.Text = strings.Repeat("x", job.MaxLogText)
		add(t, s, batch("n/a@1", l))
	}
	seen := 0
	for q := (job.LogQuery{}); ; {
		_, lines, more := read(t, s, "n/a@1", q)
		if len(lines) == 0 || len(lines)*job.MaxLogText > pageBytes {
			t.Fatalf("a page has %d lines", len(lines))
		}
		if seen += len(lines); !more {
			break
		}
		q.Cursor = lines[len(lines)-1].Cursor()
	}
	if seen != 800 {
		t.Errorf("got %d lines, want 800", seen)
	}
}

// TestACrashCutsOffAtMostWhatWasBeingWritten opens a store whose file was cut
// off at every place, and has a flipped bit at every place.
func TestACrashCutsOffAtMostWhatWasBeingWritten(t *testing.T) {
	from := t.TempDir()
	s := open(t, Config{Dir: from})
	for n := range 5 {
		add(t, s, batch("n/a@1", line(n)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(segmentPath(from, 0))
	if err != nil {
		t.Fatal(err)
	}
	record := (len(whole) - len(segmentMagic)) / 5
	try := func(b []byte, least int, what string) {
		dir := t.TempDir()
		if err := os.WriteFile(segmentPath(dir, 0), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, Config{Dir: dir})
		got, _, _ := read(t, s, "n/a@1", job.LogQuery{})
		if len(got) < least {
			t.Errorf("%s: got %q, want at least %d lines", what, got, least)
		}
		add(t, s, batch("n/a@1", line(9)))
		if now, _, _ := read(t, s, "n/a@1", job.LogQuery{}); !slices.Equal(now, append(got, "9")) {
			t.Errorf("%s: got %q after another line, want it after %q", what, now, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for at := range whole {
		try(whole[:at], max(at-len(segmentMagic), 0)/record, fmt.Sprintf("cut at %d", at))
		flipped := slices.Clone(whole)
		flipped[at] ^= 0x40
		try(flipped, max(at-len(segmentMagic), 0)/record, fmt.Sprintf("flipped at %d", at))
	}
}

func TestARunThatLogsTooMuchKeepsTheLatestAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, Total: 1 << 20, PerRun: 4 << 10}
	s := open(t, cfg)
	for n := range 500 {
		add(t, s, batch("n/a@1", line(n)))
	}
	add(t, s, batch("n/b@1", line(1)))
	for life := range 2 {
		_, lines, _ := read(t, s, "n/a@1", job.LogQuery{})
		first := lines[0]
		if first.Dropped == 0 || int(first.Dropped)+len(lines)-1 != 500 || lines[1].Text != fmt.Sprint(first.Dropped) || lines[len(lines)-1].Text != "499" {
			t.Errorf("life %d: got %+v, then %s to %s", life, first, lines[1].Text, lines[len(lines)-1].Text)
		}
		if got, _, _ := read(t, s, "n/b@1", job.LogQuery{}); len(got) != 1 {
			t.Errorf("got %q of another run", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, cfg)
	}
}

func TestTheOldestLinesMakeRoomAndARunThatHadThemSaysSo(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, Total: 64 << 10, Segment: 4 << 10}
	s := open(t, cfg)
	add(t, s, batch("n/lives@1", line(1)))
	for n := range 3000 {
		add(t, s, batch(job.RunID(fmt.Sprintf("n/r@%d", n/100)), line(n)))
		if n%100 == 0 {
			add(t, s, batch("n/lives@1", line(2+n/100)))
		}
	}
	for life := range 2 {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		size := int64(0)
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
		if size > cfg.Total {
			t.Errorf("life %d: the files have %d bytes, want at most %d", life, size, cfg.Total)
		}
		_, lines, _ := read(t, s, "n/lives@1", job.LogQuery{})
		if lines[0].Dropped == 0 || int(lines[0].Dropped)+len(lines)-1 < 31 || lines[len(lines)-1].Text != "31" {
			t.Errorf("life %d: got %+v and %d lines", life, lines[0], len(lines))
		}
		if _, lines, _ := read(t, s, "n/r@0", job.LogQuery{}); len(lines) != 1 || lines[0].Dropped != 100 {
			t.Errorf("life %d: got %+v of a run all of which is gone", life, lines)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, cfg)
	}
}

func TestAForgottenRunLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir, Total: 64 << 10, Segment: 1 << 10})
	for n := range 100 {
		add(t, s, batch("n/a@1", line(n)))
	}
	if ids := s.Runs(time.Hour); len(ids) != 0 {
		t.Errorf("got %q, which came just now", ids)
	}
	if ids := s.Runs(0); !slices.Equal(ids, []job.RunID{"n/a@1"}) {
		t.Errorf("got %q", ids)
	}
	if err := s.Forget("n/a@1", "n/none@1"); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := read(t, s, "n/a@1", job.LogQuery{}); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 {
		t.Errorf("there are still %q", files)
	}
}

func TestWhatComesIsToldToWhoeverWaitsForIt(t *testing.T) {
	s := open(t, Config{})
	all, err := (&job.LogQuery{}).Filter()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 3 {
		wg.Go(func() {
			var mark wire.LogMark
			for n := 0; n < 50; {
				lines, next, _, err := s.Arrived(t.Context(), "n/a@1", all, mark, time.Minute)
				if err != nil || len(lines) == 0 {
					t.Errorf("got %d lines, %v", len(lines), err)
					return
				}
				for i := range lines {
					if lines[i].Text != fmt.Sprint(n) {
						t.Errorf("got %q as line %d", lines[i].Text, n)
					}
					n++
				}
				mark = next
			}
		})
	}
	for n := range 50 {
		add(t, s, batch("n/a@1", line(n)), batch("n/b@1", line(n)))
	}
	wg.Wait()
	if m := s.Mark("n/a@1"); m.N != 50 {
		t.Errorf("got mark %+v", m)
	}
	if lines, _, _, err := s.Arrived(t.Context(), "n/a@1", all, s.Mark("n/a@1"), time.Millisecond); err != nil || len(lines) > 0 {
		t.Errorf("got %d lines that did not come, %v", len(lines), err)
	}
	if lines, _, _, err := s.Arrived(t.Context(), "n/a@1", all, wire.LogMark{Life: 1, N: 49}, 0); err != nil || len(lines) != 50 {
		t.Errorf("got %d lines for a mark of another life, %v", len(lines), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	wg.Go(func() {
		_, _, _, err := s.Arrived(ctx, "n/c@1", all, wire.LogMark{}, time.Minute)
		gaveUp <- err
	})
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after the caller gave up", err)
	}
	wg.Go(func() {
		if _, _, _, err := s.Arrived(t.Context(), "n/d@1", all, wire.LogMark{}, time.Minute); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v after the store was closed", err)
		}
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append([][]byte{batch("n/a@1", line(1))}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestAStoreTakesNoGarbageAndKeepsSomeOfTheDiskFree(t *testing.T) {
	s := open(t, Config{})
	good := batch("n/a@1", line(1))
	b, _ := wire.DecodeLogBatch(good)
	b.N = 2
	for _, bad := range [][]byte{nil, {1}, {9}, good[:len(good)-1], wire.AppendLogBatch(nil, &b), append(slices.Clone(good), 1), make([]byte, maxRecord+1)} {
		if err := s.Append([][]byte{good, bad}); err == nil {
			t.Errorf("%.40q is taken", bad)
		}
	}
	if got, _, _ := read(t, s, "n/a@1", job.LogQuery{}); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	s.cfg.Reserve = 1 << 62
	if err := s.Append([][]byte{good}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v from a disk that is full", err)
	}
}

func FuzzRecords(f *testing.F) {
	whole := []byte(segmentMagic)
	whole = appendRecord(whole, batch("n/a@1", line(1), line(2)))
	whole = appendRecord(whole, appendLost(nil, lost{"n/a@1", 3, 4}))
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(appendRecord(whole, []byte{1, 2, 3}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Store{cfg: Config{PerRun: 1 << 20}, runs: map[job.RunID]*runLines{}}
		g := &segment{}
		s.segs = []*segment{g}
		for at, r := range records(b) {
			if r.err != nil {
				continue
			}
			if err := s.indexLocked(g, at, r.payload, 0); err != nil {
				continue
			}
			if batch, err := wire.DecodeLogBatch(r.payload); err == nil {
				for _, err := range wire.LogLines(batch.Run, batch.Lines) {
					if err != nil {
						break
					}
				}
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	s, err := Open(Config{Dir: b.TempDir(), Logger: quiet, Reserve: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	lines := make([]job.LogLine, 500)
	for i := range lines {
		lines[i] = line(i)
	}
	one := [][]byte{batch("n/a@1", lines...)}
	b.ReportAllocs()
	b.SetBytes(int64(len(one[0])))
	for b.Loop() {
		if err := s.Append(one); err != nil {
			b.Fatal(err)
		}
	}
}
