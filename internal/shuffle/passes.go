package shuffle

import "os"

// A segment in memory weighs less in a merge than one in a file: it costs no
// open file and no seeks.
const (
	memWeight  = 1
	fileWeight = 8
)

// begin merges segments on disk until the rest can be merged in one go, and
// starts that.
func (r *Reader) begin() error {
	segs := r.segs
	for r.take(segs) < len(segs) {
		var merged []*segment
		for rest := segs; len(rest) > 0; {
			n := r.take(rest)
			if n == len(rest) && r.take(append(merged[:len(merged):len(merged)], rest...)) == len(merged)+n {
				merged = append(merged, rest...) // they fit without another pass
				break
			}
			if n == 1 {
				merged = append(merged, rest[0])
			} else {
				seg, err := r.pass(rest[:n])
				if err != nil {
					return err
				}
				merged = append(merged, seg)
			}
			rest = rest[n:]
		}
		segs = merged
	}
	r.segs = segs
	return r.merge.start(segs)
}

// take returns how many of segs, from the first on, can be merged at once:
// minFan or more if there are so many.
func (r *Reader) take(segs []*segment) int {
	block := int64(r.s.budget.sizes.block)
	room := r.acct.share() / 2
	weight := 0
	for i, seg := range segs {
		if seg.mem != nil {
			weight += memWeight
		} else {
			weight += fileWeight
		}
		room -= min(4*seg.size, block)
		if i >= minFan && (room < 0 || weight > maxFan*fileWeight) {
			return i
		}
	}
	return len(segs)
}

// pass merges segs into one on disk.
func (r *Reader) pass(segs []*segment) (*segment, error) {
	f, err := r.createLocked() // there is one goroutine now
	if err != nil {
		return nil, err
	}
	path := f.Name()
	out := fold{sink: newSink(r.acct), combine: r.cfg.Combine}
	out.begin(f, nil)
	e, err := out.from(&r.merge, segs, r.cfg.Partition)
	if err != nil {
		f.Close()
		return nil, err
	}
	if err := out.finish(nil); err != nil {
		return nil, err
	}
	out.drop()
	r.spilled(e.size)
	seg := &segment{extent: e, part: r.cfg.Partition, path: path}
	for _, s := range segs {
		if s.path != "" {
			os.Remove(s.path)
		}
	}
	return seg, nil
}
