package shuffle

import (
	"fmt"
	"os"
	"strconv"

	"github.com/musterhq/muster/internal/telemetry"
)

// spilled is a run of sorted records that a writer put on disk. One of level 0
// is a layer of the draft; one of level n+1 has a file of its own, and was
// merged from runs of level n that came one after another.
type spilled struct {
	path    string
	level   int
	extents []extent // per partition
}

// draft is a file that the buffer is written to whenever it is full, and that
// becomes the map output if there is nothing to merge.
type draft struct {
	path string
	file *os.File // nil if there is none
	end  int64    // of its layers
}

func (d *draft) close() {
	if d.file != nil {
		d.file.Close() // once more if it has become the map output
	}
	*d = draft{}
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
	return name, f, nil
}

// spill puts the buffer on disk as a run, if there is anything in it.
func (w *Writer) spill() error {
	if len(w.refs) == 0 {
		return nil
	}
	from, wanting := w.draft.end, !w.plenty()
	if err := w.write(); err != nil {
		return err
	}
	if wanting { // else it is a part of the map output, and written when it may as well be
		w.spilled(w.draft.end - from)
	}
	return w.compact()
}

// write writes the buffer as a layer of the draft.
func (w *Writer) write() error {
	if w.draft.file != nil {
		w.out.resume(w.draft.file, w.draft.end)
	} else if err := w.begin(); err != nil {
		return err
	}
	w.repeats = w.repeats || w.table.useful()
	extents, err := w.drain()
	if err != nil {
		return err
	}
	w.draft.end = w.out.off
	w.runs = append(w.runs, spilled{w.draft.path, 0, extents})
	return nil
}

// begin begins a draft.
func (w *Writer) begin() error {
	path, f, err := w.create()
	if err != nil {
		return err
	}
	w.out.begin(f, appendHeader(nil, w.run.id, w.id, w.cfg.Partitions))
	w.draft = draft{path, f, w.out.off}
	return nil
}

// drain sorts the buffer, writes it, and empties it.
func (w *Writer) drain() ([]extent, error) {
	w.settle()
	srt := sorter{arena: &w.arena, count: w.count}
	sorted := sortable.get(max(cap(w.refs), 1))[:len(w.refs)] // counted by moreRefs
	defer sortable.put(sorted)
	srt.sort(w.refs, sorted)
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
	if err := w.out.flush(); err != nil {
		return nil, err
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
		w.dropRefs()
	}
}

// spilled counts n bytes that went to disk.
func (w *Writer) spilled(n int64) {
	w.stats.Spills++
	w.stats.SpilledBytes += n
	w.s.meter.Shuffled(w.run.ctx, telemetry.Spilled, n)
}

// layered reports whether the draft is a map output as it is. Its readers merge
// in any case, so all that matters is that its layers are few, that what each
// has of a partition is worth looking for, and that there is nothing to combine.
func (w *Writer) layered() bool {
	n := len(w.runs)
	for _, r := range w.runs {
		if r.level > 0 {
			return false
		}
	}
	return n == 1 || n <= maxLayers && !w.repeats && w.draft.end/int64(n*w.cfg.Partitions) >= int64(w.out.size)
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
	path, f, err := w.create()
	if err != nil {
		return err
	}
	w.file = f
	tail := w.runs[i:]
	w.out.begin(f, nil)
	extents, err := w.mergeRuns(tail)
	if err == nil {
		err = w.out.finish(nil)
	}
	if err != nil {
		f.Close()
		return err
	}
	level := 0
	for _, r := range tail {
		level = max(level, r.level+1)
	}
	w.forget(i)
	w.runs = append(w.runs, spilled{path, level, extents})
	w.spilled(w.out.off)
	return nil
}

// forget deletes the runs from i on.
func (w *Writer) forget(i int) {
	for _, r := range w.runs[i:] {
		if r.level > 0 {
			os.Remove(r.path)
		}
		w.acct.shrink(int64(len(r.extents)) * extentSize)
	}
	w.runs = w.runs[:i]
	for _, r := range w.runs {
		if r.level == 0 {
			return
		}
	}
	os.Remove(w.draft.path)
	w.draft.close()
}

// mergeAll merges all runs into a draft of one layer.
func (w *Writer) mergeAll() error {
	w.arena.drop()
	w.table.free()
	w.dropRefs()
	for fan := w.fan(); len(w.runs) > fan; {
		if err := w.mergeTail(max(fan-1, len(w.runs)-fan)); err != nil {
			return err
		}
	}
	old := w.draft
	w.draft = draft{}
	defer old.close()
	if err := w.begin(); err != nil {
		return err
	}
	extents, err := w.mergeRuns(w.runs)
	if err != nil {
		return err
	}
	w.draft.end = w.out.off
	w.runs = append(w.runs[:0], spilled{w.draft.path, 0, extents})
	return nil
}

// mergeRuns merges runs, partition by partition.
func (w *Writer) mergeRuns(runs []spilled) ([]extent, error) {
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
