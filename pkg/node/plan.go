package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// planner works out how a run goes about its job, and packs the tasks that it
// begins with.
type planner struct {
	n       *Node
	run     *job.Run
	chunk   wire.ChunkWriter
	entries [][]byte
	sample  [][]byte // payloads, for a sorted run
}

const (
	splitBytes     = 16 << 20 // of input for a map task
	mapsPerSlot    = 4        // that inline values are spread over
	maxSample      = 16       // payloads in the sample of a sorted run
	defaultMaxPart = 256
)

func (n *Node) plan(ctx context.Context, run *job.Run) (*planner, error) {
	info, err := n.processor(ctx, run.Spec.Processor)
	if err != nil {
		return nil, err
	}
	run.Plan.Version = info.Version
	spec := &run.Spec
	if spec.Mode == job.Auto {
		switch {
		case info.Keyed:
			spec.Mode = job.MapReduce
		case len(spec.Input.Values)+len(spec.Input.Globs) > 0:
			spec.Mode = job.Map
		default:
			spec.Mode = job.Standalone
		}
	}
	if keyed := spec.Mode == job.MapReduce; keyed != info.Keyed {
		if keyed {
			return nil, fmt.Errorf("node: Mode mapreduce: processor %q has no Map and Reduce over keys: make it with mapreduce.Of, or use another mode", info.Name)
		}
		return nil, fmt.Errorf("node: Mode %v: processor %q maps to keys and reduces them: use mode mapreduce", spec.Mode, info.Name)
	}
	if spec.Mode != job.MapReduce && (spec.Output.Format != "" || spec.Sorted || spec.Partitions > 0) {
		return nil, fmt.Errorf("node: Output.Format, Sorted and Partitions are for mode mapreduce, and this is mode %v", spec.Mode)
	}
	if info.Reduces {
		run.Plan.Reduces = 1
	}
	p := &planner{n: n, run: run}
	if err := p.tasks(info); err != nil {
		return nil, err
	}
	if err := p.flush(); err != nil {
		return nil, err
	}
	run.Plan.Chunks = len(p.entries)
	spec.Input.Values = nil
	return p, nil
}

// tasks packs the tasks of the run's mode.
func (p *planner) tasks(info wire.Processor) error {
	spec := &p.run.Spec
	switch spec.Mode {
	case job.Standalone:
		return p.add(nil)
	case job.Map:
		if len(spec.Input.Values)+len(spec.Input.Globs) == 0 {
			return p.add(nil)
		}
		return p.input(p.value, func(s mapreduce.Split) ([]byte, error) { return mapreduce.Encode(s) })
	case job.Sharded:
		return p.shards()
	case job.Broadcast:
		p.run.Plan.Before = info.Prepares
		return p.everywhere()
	}
	return p.keyed()
}

func (p *planner) shards() error {
	spec := &p.run.Spec
	if spec.Shards == 0 {
		fit, err := p.n.eligible(p.run)
		if err != nil {
			return fmt.Errorf("node: Shards is 0, for one per worker: %w", err)
		}
		spec.Shards = len(fit)
	}
	for range spec.Shards {
		if err := p.add(nil); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) everywhere() error {
	fit, err := p.n.eligible(p.run)
	if err != nil {
		return fmt.Errorf("node: a broadcast needs a worker: %w", err)
	}
	for _, m := range fit {
		p.run.Plan.Nodes = append(p.run.Plan.Nodes, m.ID)
		if err := p.add(nil); err != nil {
			return err
		}
	}
	return nil
}

// keyed packs the map tasks of a keyed run.
func (p *planner) keyed() error {
	spec, slots := &p.run.Spec, 0
	p.run.Plan.Keyed = true
	fit, _ := p.n.eligible(p.run) // none is no reason to refuse: the run waits
	for _, m := range fit {
		slots += m.Slots
	}
	if spec.Partitions == 0 {
		spec.Partitions = min(max(4*slots, 1), defaultMaxPart)
	}
	p.run.Plan.Reduces = spec.Partitions
	if err := p.input(nil, mapreduce.SplitPayload); err != nil {
		return err
	}
	if err := p.values(max(slots, 1) * mapsPerSlot); err != nil {
		return err
	}
	if spec.Sorted {
		p.run.Plan.Before = true
		var err error
		if p.run.Plan.Sample, err = mapreduce.SamplePayload(p.sample); err != nil {
			return fmt.Errorf("node: Sorted: %w", err)
		}
	}
	return nil
}

// values packs inline values into at most n map tasks of a keyed run, or more
// if they are large.
func (p *planner) values(n int) error {
	values := p.run.Spec.Input.Values
	per := (len(values) + n - 1) / n
	var group [][]byte
	size := 0
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		b, err := mapreduce.ValuesPayload(group)
		if err != nil {
			return err
		}
		group, size = nil, 0
		return p.add(b)
	}
	for i, v := range values {
		b, err := p.value(i, v)
		if err != nil {
			return err
		}
		if len(group) == per || size+len(b) > wire.MaxPayload/2 {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, b)
		size += len(b) + 8
	}
	return flush()
}

// input packs one task per inline value, unless value is nil, or per split of
// the files.
func (p *planner) input(value func(int, any) ([]byte, error), split func(mapreduce.Split) ([]byte, error)) error {
	in := &p.run.Spec.Input
	if len(in.Globs) > 0 {
		return p.files(split)
	}
	if value == nil {
		return nil
	}
	for i, v := range in.Values {
		b, err := value(i, v)
		if err != nil {
			return err
		}
		if err := p.add(b); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) value(i int, v any) ([]byte, error) {
	b, err := mapreduce.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("node: Input.Values[%d]: %w", i, err)
	}
	if len(b) > wire.MaxPayload/2 {
		return nil, fmt.Errorf("node: Input.Values[%d] has %d bytes, over the limit of %d: put it in a file and use its name", i, len(b), wire.MaxPayload/2)
	}
	return b, nil
}

// files packs one task per split of the files that the globs match.
func (p *planner) files(payload func(mapreduce.Split) ([]byte, error)) error {
	in := &p.run.Spec.Input
	paths, sizes, err := expand(in.Globs)
	if err != nil {
		return err
	}
	target := in.SplitBytes
	if target == 0 {
		target = splitBytes
	}
	whole := func(i int) bool { return in.Whole || strings.HasSuffix(paths[i], ".gz") }
	for _, pieces := range sharding.Split(sizes, target, whole) {
		s := mapreduce.Split{Whole: in.Whole}
		for _, piece := range pieces {
			s.Ranges = append(s.Ranges, mapreduce.Range{
				Path: paths[piece.File], Offset: piece.Offset, Length: piece.Length, Size: sizes[piece.File],
			})
		}
		b, err := payload(s)
		if err != nil {
			return fmt.Errorf("node: Input.Globs: %w", err)
		}
		if err := p.add(b); err != nil {
			return err
		}
	}
	return nil
}

// expand returns the files that globs match, by absolute names, with their
// sizes.
func expand(globs []string) (paths []string, sizes []int64, err error) {
	seen := map[string]bool{}
	for _, g := range globs {
		abs, err := filepath.Abs(g)
		if err != nil {
			return nil, nil, fmt.Errorf("node: Input.Globs %q: %w", g, err)
		}
		matches, err := doublestar.FilepathGlob(abs, doublestar.WithFilesOnly(), doublestar.WithFailOnIOErrors())
		if err != nil {
			return nil, nil, fmt.Errorf("node: Input.Globs %q: %w: mend the pattern, or make what it names readable", g, err)
		}
		if len(matches) == 0 {
			return nil, nil, fmt.Errorf("node: Input.Globs %q: no file matches (looked for %s): correct the pattern; ** stands for any number of directories", g, abs)
		}
		for _, m := range matches {
			if seen[m] {
				continue
			}
			seen[m] = true
			size, err := readable(m)
			if err != nil {
				return nil, nil, fmt.Errorf("node: Input.Globs %q: %w: make the file readable for every node, or leave it out", g, err)
			}
			if size >= 0 {
				paths, sizes = append(paths, m), append(sizes, size)
			}
		}
	}
	return paths, sizes, nil
}

// readable returns the size of a file that can be read, and -1 if it is no
// regular file.
func readable(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return -1, nil
	}
	return info.Size(), nil
}

// add packs one more task.
func (p *planner) add(payload []byte) error {
	if len(payload) > wire.MaxPayload {
		return fmt.Errorf("node: Input: the payload of task %d has %d bytes, over the limit of %d: make SplitBytes smaller", p.run.Plan.Roots, len(payload), wire.MaxPayload)
	}
	if p.run.Plan.Roots++; p.run.Plan.Roots > job.MaxTasks {
		return fmt.Errorf("node: Input makes more than the limit of %d tasks: make SplitBytes larger", job.MaxTasks)
	}
	p.keep(payload)
	p.chunk.Add("", payload)
	if p.chunk.Full() {
		return p.flush()
	}
	return nil
}

// keep holds on to evenly spread payloads for the sample of a sorted run: when
// there are twice as many as it takes, every second is let go.
func (p *planner) keep(payload []byte) {
	if !p.run.Spec.Sorted {
		return
	}
	p.sample = append(p.sample, payload)
	if len(p.sample) >= 2*maxSample {
		for i := range maxSample {
			p.sample[i] = p.sample[2*i]
		}
		p.sample = p.sample[:maxSample]
	}
}

func (p *planner) flush() error {
	if p.chunk.N == 0 {
		return nil
	}
	b, err := wire.EncodeEntry(&wire.Entry{Kind: wire.EntryTasks, N: p.chunk.N, Blob: p.chunk.Bytes()})
	p.entries = append(p.entries, b)
	p.chunk.Reset()
	return err
}
