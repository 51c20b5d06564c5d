package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	splitBytes = 16 << 20 // of files for a map task, at least
	// mostCombined is the same at most, where the values of a key become one
	// before they leave a task: then few tasks have less to sort, to send and to
	// merge than many.
	mostCombined    = 128 << 20
	combinedPerSlot = 2  // map tasks that files are then spread over
	mapsPerSlot     = 4  // that values are spread over
	maxSample       = 16 // payloads in the sample of a sorted run
	defaultMaxPart  = 256
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
		case !none(spec.Input):
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
	if err := fitsMode(spec); err != nil {
		return nil, err
	}
	if err := absolute(&spec.Output); err != nil {
		return nil, err
	}
	if info.Reduces {
		run.Plan.Reduces = 1
	}
	run.Plan.Before = info.Prepares && !info.Keyed
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

// none reports whether in is no input at all, which is one task without a
// payload. An empty list of values is an input all the same: it has no tasks.
func none(in job.Input) bool { return in.Values == nil && len(in.Globs) == 0 }

// fitsMode refuses what only another mode would heed.
func fitsMode(s *job.Spec) error {
	for _, f := range []struct {
		field string
		set   bool
		mode  job.Mode
	}{
		{"Partitions", s.Partitions > 0, job.MapReduce},
		{"Sorted", s.Sorted, job.MapReduce},
		{"Output.Format", s.Output.Format != "", job.MapReduce},
		{"Shards", s.Shards > 0, job.Sharded},
	} {
		if f.set && s.Mode != f.mode {
			return fmt.Errorf("node: %s is set and is for mode %v only, but the mode is %v: leave it out, or use mode %[2]v", f.field, f.mode, s.Mode)
		}
	}
	return nil
}

// absolute makes the output directory the same for nodes that were started in
// different places.
func absolute(out *job.Output) error {
	if out.Dir == "" {
		return nil
	}
	dir, err := filepath.Abs(out.Dir)
	if err != nil {
		return fmt.Errorf("node: Output.Dir %q: %w: name it by its absolute path", out.Dir, err)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return fmt.Errorf("node: Output.Dir %q is a file: name a directory that every node sees, which need not exist yet", out.Dir)
	}
	out.Dir = dir
	return nil
}

// tasks packs the tasks of the run's mode.
func (p *planner) tasks(info wire.Processor) error {
	spec := &p.run.Spec
	switch spec.Mode {
	case job.Standalone:
		return p.add(nil)
	case job.Map:
		if none(spec.Input) {
			return p.add(nil)
		}
		return p.input()
	case job.Sharded:
		return p.shards()
	case job.Broadcast:
		return p.everywhere()
	}
	return p.keyed(info)
}

func (p *planner) shards() error {
	spec := &p.run.Spec
	if spec.Shards == 0 {
		fit, err := p.n.eligible(p.run)
		if err != nil {
			return fmt.Errorf("node: Shards is 0, for one per worker, but no worker fits: %w: say how many Shards, or correct Placement", err)
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
		return fmt.Errorf("node: Mode broadcast needs a worker and none fits: %w: correct Placement, or start such a node", err)
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
func (p *planner) keyed(info wire.Processor) error {
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
	var err error
	switch {
	case none(spec.Input):
		err = p.add(nil)
	case len(spec.Input.Globs) > 0 && info.Combines:
		err = p.files(max(slots, 1)*combinedPerSlot, mapreduce.SplitPayload)
	case len(spec.Input.Globs) > 0:
		err = p.files(0, mapreduce.SplitPayload)
	default:
		err = p.values(max(slots, 1) * mapsPerSlot)
	}
	if err != nil {
		return err
	}
	if spec.Sorted {
		p.run.Plan.Before = true
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
		b, err := encodeValue(i, v, wire.MaxPayload-envelope)
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

// input packs one task per inline value, or per split of the files.
func (p *planner) input() error {
	in := &p.run.Spec.Input
	if len(in.Globs) > 0 {
		return p.files(0, func(s mapreduce.Split) ([]byte, error) { return mapreduce.Encode(s) })
	}
	for i, v := range in.Values {
		b, err := encodeValue(i, v, wire.MaxPayload)
		if err != nil {
			return err
		}
		if err := p.add(b); err != nil {
			return err
		}
	}
	return nil
}

// envelope is more than what the payload of a keyed map task has around a
// single value.
const envelope = 16

func encodeValue(i int, v any, limit int) ([]byte, error) {
	b, err := mapreduce.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("node: Input.Values[%d]: %w", i, err)
	}
	if len(b) > limit {
		return nil, fmt.Errorf("node: Input.Values[%d] has %d bytes, over the limit of %d: put it in a file and use its name", i, len(b), limit)
	}
	return b, nil
}

// files packs one task per split of the files that the globs match: some n tasks,
// as far as splits may be so large, or as many as it takes if n is 0.
func (p *planner) files(n int, payload func(mapreduce.Split) ([]byte, error)) error {
	in := &p.run.Spec.Input
	paths, sizes, err := expand(in.Globs)
	if err != nil {
		return err
	}
	target := in.SplitBytes
	if target == 0 {
		target = splitBytes
		if n > 0 {
			var all int64
			for _, size := range sizes {
				all += size
			}
			target = min(max(all/int64(n), splitBytes), mostCombined)
		}
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

// add packs one more task.
func (p *planner) add(payload []byte) error {
	if len(payload) > wire.MaxPayload {
		return fmt.Errorf("node: Input: the payload of task %d has %d bytes, over the limit of %d: make SplitBytes smaller", p.run.Plan.Roots, len(payload), wire.MaxPayload)
	}
	if p.run.Plan.Roots++; p.run.Plan.Roots > job.MaxTasks {
		return fmt.Errorf("node: Input makes more than the limit of %d tasks: make SplitBytes larger", job.MaxTasks)
	}
	p.keep(payload)
	if err := p.chunk.Add("", payload); err != nil {
		return err
	}
	if p.chunk.Full() {
		return p.flush()
	}
	return nil
}

// keep holds on to evenly spread payloads for the sample of a sorted run: when
// there are twice as many as it takes, every second is let go.
func (p *planner) keep(payload []byte) {
	if !p.run.Spec.Sorted || len(payload) == 0 { // without an input there is nothing to sample
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
