package runlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

var attempt = job.AttemptID{Run: "n/a@1", Task: job.TaskID{Kind: job.KindMap, N: 7}, Epoch: 3, N: 2}

// settle takes away all that a collector has and returns its lines.
func settle(t *testing.T, c *Collector, why string) (all []job.LogLine) {
	t.Helper()
	for {
		taken := c.Take(1 << 20)
		if taken.Lines() == 0 {
			return all
		}
		for _, b := range taken.Batches() {
			if err := check(b); err != nil {
				t.Fatal(err)
			}
			batch, err := wire.DecodeLogBatch(b)
			if err != nil {
				t.Fatal(err)
			}
			for l, err := range wire.LogLines(batch.Run, batch.Lines) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, *l)
			}
		}
		c.Settle(taken, why)
		if why != "" {
			return all
		}
	}
}

func TestDroppedLinesAreCountedInTheirPlace(t *testing.T) {
	now := epoch
	c := NewCollector("a", func() time.Time { return now })
	w := c.Writer(attempt)
	for range rateBurst + 10 {
		w.Add(slog.LevelInfo, "x", nil)
	}
	lines := settle(t, c, "")
	if last := lines[len(lines)-1]; len(lines) != rateBurst+1 || last.Dropped != 10 || last.Seq != rateBurst+10 ||
		last.Text != "10 lines were dropped: more than 1000 a second or 1 MiB a second" || last.Task != attempt.Task || last.Attempt != 2 || last.Epoch != 3 {
		t.Fatalf("got %d lines, and %+v as the last", len(lines), last)
	}
	w.Add(slog.LevelInfo, "lost", nil)
	now = now.Add(-time.Hour) // somebody sets the clock
	w.Add(slog.LevelInfo, "lost", nil)
	now = now.Add(time.Hour + 2*time.Millisecond)
	w.Add(slog.LevelInfo, "kept", nil)
	lines = settle(t, c, "")
	if len(lines) != 2 || lines[0].Dropped != 2 || lines[0].Seq != rateBurst+12 || lines[1].Text != "kept" || lines[1].Seq != rateBurst+13 || lines[1].Time.Before(epoch) {
		t.Errorf("got %+v", lines)
	}
}

func TestANodeThatNobodyTakesLinesFromHoldsAFew(t *testing.T) {
	c := NewCollector("a", nil)
	const writers, each = 200, 50
	for i := range writers {
		w := c.Writer(job.AttemptID{Run: job.RunID(fmt.Sprintf("n/a@%d", i)), Task: attempt.Task, Epoch: 1, N: 1})
		for range each {
			w.Add(slog.LevelInfo, strings.Repeat("x", 2000), nil)
		}
	}
	if c.held > maxHeld+batchBytes {
		t.Errorf("it holds %d bytes", c.held)
	}
	kept, dropped := 0, uint64(0)
	for _, l := range settle(t, c, "") {
		if dropped += l.Dropped; l.Dropped == 0 {
			kept++
		}
	}
	if kept+int(dropped) != writers*each || c.held != 0 {
		t.Errorf("%d lines were kept and %d dropped of %d, and %d bytes are held", kept, dropped, writers*each, c.held)
	}
}

func TestLinesThatTheServersRefuseAreSpokenOf(t *testing.T) {
	c := NewCollector("a", nil)
	w := c.Writer(attempt)
	for range 5 {
		w.Add(slog.LevelInfo, "x", nil)
	}
	settle(t, c, "the disk is full")
	lines := settle(t, c, "")
	if len(lines) != 1 || lines[0].Dropped != 5 || lines[0].Text != "5 lines were dropped: the disk is full" || lines[0].Run != attempt.Run {
		t.Errorf("got %+v", lines)
	}
}

func TestFlushWaitsForWhatWasAddedBefore(t *testing.T) {
	c := NewCollector("a", nil)
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Writer(attempt).Add(slog.LevelInfo, "x", nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := c.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v while nobody takes the line", err)
	}
	if !c.Urgent() {
		t.Error("it does not say that somebody waits")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
	settle(t, c, "")
	wg.Wait()
}

func TestALineIsCutToItsLimits(t *testing.T) {
	c := NewCollector(strings.Repeat("ä", 300), nil)
	w := c.Writer(attempt)
	many := make([]job.LogAttr, 500)
	for i := range many {
		many[i] = job.LogAttr{Key: fmt.Sprint(i), Value: "\xff"}
	}
	big := []job.LogAttr{{Key: strings.Repeat("k", 1000), Value: strings.Repeat("v", 100_000)}, {Key: "k", Value: "v"}}
	for _, text := range []string{strings.Repeat("ä", job.MaxLogText), strings.Repeat("\xff", 5*job.MaxLogText), strings.Repeat("x\xff", job.MaxLogText/2)} {
		w.Add(slog.LevelInfo, text, many)
		w.Add(slog.LevelInfo, text, big)
	}
	for _, l := range settle(t, c, "") {
		if !strings.Contains(l.Text, "bytes more)") || len(l.Text) > job.MaxLogText+64 {
			t.Errorf("got %d bytes: …%q", len(l.Text), l.Text[len(l.Text)-20:])
		}
		size := 0
		for _, a := range l.Attrs {
			size += len(a.Key) + len(a.Value)
		}
		if size > job.MaxLogAttrs || len(l.Attrs) > maxAttrs {
			t.Errorf("got %d attributes of %d bytes", len(l.Attrs), size)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	now := epoch
	c := NewCollector("a", func() time.Time { return now })
	w := c.Writer(attempt)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		now = now.Add(time.Millisecond)
		w.Add(slog.LevelInfo, "a line of the usual length, with a number in it", nil)
		if n++; n%1000 == 0 {
			c.Settle(c.Take(1<<20), "")
		}
	}
}
