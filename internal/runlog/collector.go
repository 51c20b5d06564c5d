// Package runlog keeps what attempts write to their logs.
//
// A line takes two steps. On the node that it is written on a Collector puts it
// together with others and hands them on in batches:
//
//	Writer.Add ─► batch of the run ─► Collector.Take ─► servers
//
// and on each server a Store appends the batches to files and finds the lines of
// a run again. The package moves nothing between nodes.
//
// What holds when things fail: lines are given up before work is. Whoever writes
// too fast or too much, or faster than lines are taken away, loses lines; a line
// that says how many, and why, stands in their place. A Store whose disk is full
// refuses; one that was killed has all that it had appended; a batch that was
// damaged is left out, and those around it are not.
package runlog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// The bounds of what is written. A burst is what may be written at once after
// a while of silence.
const (
	// Rate and RateBytes bound what one attempt writes in a second.
	Rate       = 1000
	rateBurst  = 4 * Rate
	RateBytes  = 1 << 20
	bytesBurst = 4 * RateBytes
	// batchBytes is when a batch is closed, maxHeld what a node holds of lines
	// that were not taken away.
	batchBytes = 64 << 10
	maxHeld    = 8 << 20
)

// Collector puts the lines that attempts on one node write together to batches.
// Its methods may be called at the same time.
type Collector struct {
	node string
	now  func() time.Time
	some chan struct{} // holds one if there may be lines

	mu      sync.Mutex
	open    map[job.RunID]*wire.LogBatch // guarded by mu
	closed  []closed                     // the oldest first; guarded by mu
	held    int                          // bytes that were not settled; guarded by mu
	debtors map[*Writer]struct{}         // those that have dropped lines and not said so; guarded by mu
	added   uint64                       // lines so far; guarded by mu
	dropped uint64                       // lines that are lost; guarded by mu
	settled uint64                       // of those that were added, those that are no longer here; guarded by mu
	change  chan struct{}                // closed when settled grows; guarded by mu
	refused map[job.RunID]refused        // what was taken away in vain; guarded by mu
	hurry   bool                         // somebody waits; guarded by mu
}

type closed struct {
	n     int
	batch []byte
	run   job.RunID
}

type refused struct {
	n   uint64
	why string
}

// NewCollector returns a collector for the node of the given name. Nil for now
// means time.Now.
func NewCollector(node string, now func() time.Time) *Collector {
	if now == nil {
		now = time.Now
	}
	return &Collector{
		node: cut(node, wire.MaxName/2), now: now, some: make(chan struct{}, 1), open: map[job.RunID]*wire.LogBatch{},
		debtors: map[*Writer]struct{}{}, change: make(chan struct{}), refused: map[job.RunID]refused{},
	}
}

// Writer takes the lines of one attempt.
type Writer struct {
	c  *Collector
	id job.AttemptID

	seq     uint64    // guarded by c.mu
	last    time.Time // guarded by c.mu
	lines   float64   // that may still be written at last; guarded by c.mu
	bytes   float64   // guarded by c.mu
	dropped uint64    // and not said so; guarded by c.mu
	why     string    // guarded by c.mu
}

// Writer returns a writer for an attempt. There is to be one for each.
func (c *Collector) Writer(id job.AttemptID) *Writer {
	return &Writer{c: c, id: id, lines: rateBurst, bytes: bytesBurst}
}

const (
	whyRate = "more than 1000 a second or 1 MiB a second"
	whyHeld = "more than the node could hand on to the servers"
)

// Add takes a line. It never waits for anything but its turn.
func (w *Writer) Add(level slog.Level, text string, attrs []job.LogAttr) {
	size := 64 + len(text)
	line := job.LogLine{Task: w.id.Task, Epoch: w.id.Epoch, Attempt: w.id.N, Level: level, Text: cut(text, job.MaxLogText)}
	line.Attrs = modest(attrs)
	for i := range line.Attrs {
		size += len(line.Attrs[i].Key) + len(line.Attrs[i].Value)
	}
	c := w.c
	line.Node = c.node
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	w.refillLocked(now)
	w.seq++
	switch {
	case w.lines < 1 || w.bytes < float64(size):
		w.dropLocked(whyRate)
		return
	case c.held+size > maxHeld:
		w.dropLocked(whyHeld)
		return
	}
	w.lines--
	w.bytes -= float64(size)
	w.confessLocked(w.seq - 1)
	line.Seq, line.Time = w.seq, w.last
	c.addLocked(w.id.Run, &line)
}

// refillLocked moves the writer's time to now.
func (w *Writer) refillLocked(now time.Time) {
	if w.last.IsZero() {
		w.last = now
	}
	if d := now.Sub(w.last).Seconds(); d > 0 {
		w.lines = min(w.lines+d*Rate, rateBurst)
		w.bytes = min(w.bytes+d*RateBytes, bytesBurst)
		w.last = now
	}
}

func (w *Writer) dropLocked(why string) {
	w.dropped++
	w.c.dropped++
	w.why = why
	w.c.debtors[w] = struct{}{}
	w.c.wakeLocked()
}

// confessLocked writes the line that stands for those which were dropped, the
// last of them with the given number.
func (w *Writer) confessLocked(seq uint64) {
	if w.dropped == 0 {
		return
	}
	line := job.LogLine{
		Task: w.id.Task, Epoch: w.id.Epoch, Attempt: w.id.N, Node: w.c.node, Level: slog.LevelWarn,
		Time: w.last, Seq: seq, Text: droppedText(w.dropped, w.why), Dropped: w.dropped,
	}
	w.dropped = 0
	delete(w.c.debtors, w)
	w.c.addLocked(w.id.Run, &line)
}

func droppedText(n uint64, why string) string {
	if n == 1 {
		return "1 line was dropped: " + why
	}
	return fmt.Sprintf("%d lines were dropped: %s", n, why)
}

// addLocked puts a line into the batch of its run.
func (c *Collector) addLocked(run job.RunID, line *job.LogLine) {
	b := c.open[run]
	at := line.Time.UnixNano()
	if b == nil {
		b = &wire.LogBatch{Run: run, First: at, Last: at}
		c.open[run] = b
	}
	before := len(b.Lines)
	b.Lines = wire.AppendLogLine(b.Lines, line)
	b.N++
	b.First, b.Last = min(b.First, at), max(b.Last, at)
	c.held += len(b.Lines) - before
	c.added++
	if len(b.Lines) >= batchBytes {
		c.closeLocked(b)
	}
	if c.added-c.settled == 1 || c.held >= batchBytes {
		c.wakeLocked()
	}
}

func (c *Collector) closeLocked(b *wire.LogBatch) {
	delete(c.open, b.Run)
	batch := wire.AppendLogBatch(make([]byte, 0, len(b.Lines)+len(b.Run)+32), b)
	c.held += len(batch) - len(b.Lines)
	c.closed = append(c.closed, closed{b.N, batch, b.Run})
}

func (c *Collector) wakeLocked() {
	select {
	case c.some <- struct{}{}:
	default:
	}
}

// Some returns a channel that holds something when there may be lines to take.
func (c *Collector) Some() <-chan struct{} { return c.some }

// Urgent reports whether what there is should be taken at once: somebody waits
// for it, or there is much.
func (c *Collector) Urgent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hurry || c.held >= batchBytes
}

// Take closes what is open and takes away the oldest batches, up to about limit
// bytes. It is to be followed by Settle before the next Take.
func (c *Collector) Take(limit int) (t Taken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.debtors {
		w.confessLocked(w.seq)
	}
	for run, r := range c.refused {
		delete(c.refused, run)
		c.addLocked(run, &job.LogLine{Node: c.node, Level: slog.LevelWarn, Time: c.now(), Seq: c.added, Text: droppedText(r.n, r.why), Dropped: r.n})
	}
	if len(c.closed) == 0 {
		c.hurry = false
		for _, b := range c.open {
			c.closeLocked(b)
		}
	}
	n := 0
	for ; n < len(c.closed) && (n == 0 || t.bytes+len(c.closed[n].batch) <= limit); n++ {
		t.bytes += len(c.closed[n].batch)
		t.lines += c.closed[n].n
	}
	t.batches = append(t.batches, c.closed[:n]...)
	if c.closed = c.closed[n:]; len(c.closed) == 0 {
		c.closed = nil
	}
	return t
}

// Taken is batches that were taken away.
type Taken struct {
	batches      []closed
	lines, bytes int
}

// Batches returns them, each encoded by wire.AppendLogBatch.
func (t *Taken) Batches() [][]byte {
	all := make([][]byte, len(t.batches))
	for i := range t.batches {
		all[i] = t.batches[i].batch
	}
	return all
}

// Lines returns how many lines they are.
func (t *Taken) Lines() int { return t.lines }

// Settle tells what became of what was taken: it is kept, or if why is not
// empty it was given up for that reason, which the runs will say once they
// have another line.
func (c *Collector) Settle(t Taken, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held -= t.bytes
	c.settled += uint64(t.lines)
	close(c.change)
	c.change = make(chan struct{})
	if why == "" {
		return
	}
	c.dropped += uint64(t.lines)
	for _, b := range t.batches {
		c.refused[b.run] = refused{c.refused[b.run].n + uint64(b.n), why}
	}
	if len(c.refused) > maxRefused {
		clear(c.refused)
	}
}

// maxRefused bounds for how many runs the collector remembers that it has lost
// lines.
const maxRefused = 10_000

// Counts returns how many lines were put together, those among them that stand
// for others, and how many were lost before or after.
func (c *Collector) Counts() (lines, dropped int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(c.added), int64(c.dropped)
}

// Flush returns when no line is here any more that was added before, or when ctx
// ends.
func (c *Collector) Flush(ctx context.Context) error {
	c.mu.Lock()
	for w := range c.debtors {
		w.confessLocked(w.seq)
	}
	all := c.added
	for c.settled < all {
		c.hurry = true
		c.wakeLocked()
		change := c.change
		c.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("runlog: lines are still here: %w", context.Cause(ctx))
		}
		c.mu.Lock()
	}
	c.mu.Unlock()
	return nil
}
