package shuffle

import (
	"fmt"
	"os"
	"strconv"

	"github.com/musterhq/muster/internal/telemetry"
)

// spilled is a run of sorted records that a writer put on disk. A run of level
// n+1 was merged from runs of level n that came one after another.
type spilled struct {
	path    string
	level   int
	extents []extent // per partition
}

const (
	extentSize = 24
	maxFan     = 128 // files that are merged at once
	minFan     = 4   // even if there is no memory for it
)

func (w *Writer) temp(n int) string { return w.base + ".t" + strconv.Itoa(n) }

// create makes a temporary file, which end removes unless it was renamed.
func (w *Writer) create() (string, *os.File, error) {
	name := w.temp(w.files)
	w.files++
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return "", nil, fmt.Errorf("shuffle: %w", err)
	}
	w.file = f
	return name, f, nil
}

// spill puts the buffer on disk as a run, if there is anything in it.
func (w *Writer) spill() error {
	if len(w.refs) == 0 {
		return nil
	}
	name, f, err := w.create()
	if err != nil {
		return err
	}
	extents, err := w.drain(f, nil)
	if err = w.closeRun(f, err); err != nil {
		return err
	}
	w.keep(spilled{name, 0, extents})
	return w.compact()
}

// drain sorts the buffer, writes it to f after head, and empties it.
func (w *Writer) drain(f *os.File, head []byte) ([]extent, error) {
	w.settle()
	srt := sorter{arena: &w.arena, count: w.count}
	sorted := srt.sort(w.refs, make([]ref, len(w.refs))) // counted by moreRefs
	w.out.begin(f, head)
	w.acct.force(int64(w.cfg.Partitions) * extentSize)
	extents := make([]extent, w.cfg.Partitions)
	for p := range extents {
		w.out.segment(p)
		if err := w.pass(srt.part(sorted, p)); err != nil {
			return nil, err
		}
		e, err := w.out.end()
		if err != nil {
			return nil, err
		}
		extents[p] = e
	}
	w.empty()
	return extents, nil
}

// pass passes sorted records of the buffer on.
func (w *Writer) pass(sorted []ref) error {
	if w.cfg.Words != nil {
		return w.passWords(sorted)
	}
	for len(sorted) > 0 {
		near := sorted[:min(len(sorted), ahead)]
		w.touch(near)
		for _, r := range near {
			key, value := w.arena.record(r.at)
			if err := w.out.add(key, value); err != nil {
				return err
			}
		}
		sorted = sorted[len(near):]
	}
	return nil
}

// ahead is how many records are brought into the cache at once. In the order
// of their keys they are all over the arena, and to wait for one before asking
// for the next is most of what it costs to pass them on.
const ahead = 16

// touch brings records into the cache, the beginnings of those that are large:
// the processor itself sees to what comes after that.
func (w *Writer) touch(refs []ref) {
	sum := byte(0)
	for _, r := range refs {
		b := w.arena.at(r.at)
		last := min(int(r.size), len(b)) - 1
		for i := 0; i < last; i += cacheLine {
			sum += b[i]
		}
		sum += b[last]
	}
	w.touched = sum // or there would be no need to
}

const (
	cacheLine   = 64
	mostTouched = 4 * cacheLine
)

// empty forgets the records of the buffer, and gives back what is more than
// the writer's share.
func (w *Writer) empty() {
	w.refs = w.refs[:0]
	w.arena.reset()
	w.table.reset()
	if w.acct.excess() > 0 {
		w.table.free()
		w.acct.shrink(int64(cap(w.refs)) * 2 * refSize)
		w.refs = nil
	}
}

// keep adds a run and counts it.
func (w *Writer) keep(r spilled) {
	w.runs = append(w.runs, r)
	w.stats.Spills++
	w.stats.SpilledBytes += w.out.off
	w.s.meter.Shuffled(w.run.ctx, telemetry.Spilled, w.out.off)
}

// closeRun closes the file of a run that was written with the given result.
func (w *Writer) closeRun(f *os.File, err error) error {
	if err != nil {
		f.Close()
	} else {
		err = w.out.finish(nil)
	}
	if err != nil {
		return fmt.Errorf("shuffle: spill: %w", err)
	}
	return nil
}

// fan is how many runs the writer merges at once.
func (w *Writer) fan() int {
	return int(min(max(w.acct.share()/int64(4*w.s.budget.sizes.block), minFan), maxFan))
}

// compact merges the latest runs while there are too many of one level, so
// that a pair is written about as often as there are levels.
func (w *Writer) compact() error {
	fan := w.fan()
	for {
		n := len(w.runs)
		i := n
		for i > 0 && w.runs[i-1].level == w.runs[n-1].level {
			i--
		}
		if n-i < fan {
			return nil
		}
		if err := w.mergeTail(i); err != nil {
			return err
		}
	}
}

// mergeTail merges the runs from i on into one.
func (w *Writer) mergeTail(i int) error {
	name, f, err := w.create()
	if err != nil {
		return err
	}
	tail := w.runs[i:]
	extents, err := w.mergeRuns(tail, f, nil)
	if err = w.closeRun(f, err); err != nil {
		return err
	}
	level := 0
	for _, r := range tail {
		level = max(level, r.level+1)
		os.Remove(r.path)
		w.acct.shrink(int64(len(r.extents)) * extentSize)
	}
	w.runs = w.runs[:i]
	w.keep(spilled{name, level, extents})
	return nil
}

// mergeAll writes all runs, and what is in the buffer, to f after head.
func (w *Writer) mergeAll(f *os.File, head []byte) ([]extent, error) {
	if err := w.spill(); err != nil {
		return nil, err
	}
	w.arena.drop()
	w.table.free()
	w.acct.shrink(int64(cap(w.refs)) * 2 * refSize)
	w.refs = nil
	for fan := w.fan(); len(w.runs) > fan; {
		if err := w.mergeTail(max(fan-1, len(w.runs)-fan)); err != nil {
			return nil, err
		}
	}
	return w.mergeRuns(w.runs, f, head)
}

// mergeRuns merges runs, partition by partition, to f after head.
func (w *Writer) mergeRuns(runs []spilled, f *os.File, head []byte) ([]extent, error) {
	files := make([]*os.File, 0, len(runs))
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, r := range runs {
		in, err := os.Open(r.path)
		if err != nil {
			return nil, fmt.Errorf("shuffle: open a run to merge it: %w", err)
		}
		files = append(files, in)
	}
	m := &merger{acct: w.acct, alive: w.run.err}
	defer m.close()
	w.out.begin(f, head)
	w.acct.force(int64(w.cfg.Partitions) * extentSize)
	extents := make([]extent, w.cfg.Partitions)
	all := make([]segment, len(runs))
	segs := make([]*segment, 0, len(runs))
	for p := range extents {
		segs = segs[:0]
		for i, r := range runs {
			if e := r.extents[p]; e.records > 0 {
				all[i] = segment{extent: e, part: p, file: files[i]}
				segs = append(segs, &all[i])
			}
		}
		e, err := w.out.from(m, segs, p)
		if err != nil {
			return nil, err
		}
		extents[p] = e
	}
	return extents, nil
}

// from merges segs into one segment of partition part.
func (f *fold) from(m *merger, segs []*segment, part int) (extent, error) {
	f.segment(part)
	if err := m.start(segs); err != nil {
		return extent{}, err
	}
	for m.live {
		c := m.winner()
		if err := f.add(c.key, c.val); err != nil {
			return extent{}, err
		}
		if _, err := m.next(); err != nil {
			return extent{}, err
		}
	}
	return f.end()
}
