package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/musterhq/muster/benchmarks/peers/input"
	"github.com/musterhq/muster/benchmarks/peers/report"
	"github.com/musterhq/muster/benchmarks/peers/side"
	"github.com/musterhq/muster/benchmarks/peers/stats"
)

// measureAll measures what o asks for and writes what it found, also when it
// is interrupted.
func measureAll(ctx context.Context, o options, out, progress io.Writer) (err error) {
	p, err := newPlan(o.sizes, o.seed).chosen(o.only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "muster-peers-")
	if err != nil {
		return fmt.Errorf("peers: -dir %q: %w", o.dir, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // some servers run as another user
		return err
	}
	h := &harness{o: o, dir: dir, progress: progress, missing: map[string]bool{}}
	h.r = report.Report{Machine: machine(o, dir), Command: o.line, Commit: commit(), Versions: libraries(), Series: p.series}
	h.look(p)
	var failed []error
	for _, c := range p.cells {
		if ctx.Err() == nil {
			failed = append(failed, h.measure(ctx, c))
		}
	}
	if err := h.r.WriteText(out); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		failed = []error{err} // which explains all others
	}
	return errors.Join(append(failed, save(&h.r, o.out))...)
}

// harness is one call of the command.
type harness struct {
	o        options
	dir      string
	progress io.Writer
	missing  map[string]bool // by kind and side
	r        report.Report
}

// look finds out which sides the machine has, and which versions.
func (h *harness) look(p plan) {
	for _, s := range side.All() {
		if !slices.ContainsFunc(p.cells, func(c cell) bool { return c.work.Kind == s.Kind && !slices.Contains(c.without, s.Name) }) {
			continue
		}
		if s.Missing != nil {
			if err := s.Missing(); err != nil {
				h.missing[s.Kind+"/"+s.Name] = true
				h.r.Missing = append(h.r.Missing, fmt.Sprintf("%s of %s: %v", s.Label, s.Kind, err))
				continue
			}
		}
		if s.Version != nil && h.r.Versions[s.Needs] == "" {
			h.r.Versions[s.Needs] = s.Version()
		}
	}
}

// measure has each side do the work of c, round by round. The error is of
// those whose result was wrong, or who did not come to any; they are given no
// other try.
func (h *harness) measure(ctx context.Context, c cell) (err error) {
	dir := filepath.Join(h.dir, "cell")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	k := report.Cell{ID: c.id, Kind: c.work.Kind, Title: c.title, Unit: c.unit, Items: int64(c.work.Tasks), Bytes: c.bytes, Memory: c.work.Memory}
	var in input.Input
	if c.make != nil {
		if in, err = c.make(ctx, filepath.Join(dir, "input")); err != nil {
			return err
		}
		k.Items, k.Bytes = in.Size()
	}
	for _, s := range side.Of(c.work.Kind) {
		if !h.missing[s.Kind+"/"+s.Name] && !slices.Contains(c.without, s.Name) {
			k.Rows = append(k.Rows, report.Row{Side: s.Name, Label: s.Label, About: s.About})
		}
	}
	for round := range h.o.repeat {
		for i := range k.Rows {
			if k.Rows[i].Error == "" && ctx.Err() == nil {
				err = errors.Join(err, h.row(ctx, c, in, dir, round, &k.Rows[i]))
			}
		}
	}
	k.Summarize()
	h.r.Cells = append(h.r.Cells, k)
	return err
}

// row adds a sample to a row.
func (h *harness) row(ctx context.Context, c cell, in input.Input, dir string, round int, row *report.Row) error {
	sample, err := h.sample(ctx, c, in, dir, row.Side)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		row.Error = err.Error()
		fmt.Fprintf(h.progress, "%-28s %-16s %v\n", c.id, row.Side, err)
		return fmt.Errorf("%s: %s: %w", c.id, row.Side, err)
	}
	sample.Round = round
	row.Samples = append(row.Samples, sample)
	fmt.Fprintf(h.progress, "%-28s %-16s %d of %d: %8.3f s, %8.3f s of processor time\n", c.id, row.Side, round+1, h.o.repeat, sample.Seconds, sample.CPUSeconds)
	return nil
}

// sample has one side do the work once, and checks what comes out.
func (h *harness) sample(ctx context.Context, c cell, in input.Input, dir, name string) (s report.Sample, err error) {
	own := filepath.Join(dir, "sample")
	w := c.work
	w.Side, w.Cores, w.Nodes, w.Servers = name, h.o.cores, h.o.nodes, h.o.servers
	w.Input, w.Output, w.Dir = filepath.Join(dir, "input"), filepath.Join(own, "output"), filepath.Join(own, "data")
	if err := os.MkdirAll(w.Dir, 0o755); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(own)) }()
	syscall.Sync() // what the one before has written is not this one's to wait for
	ctx, cancel := context.WithTimeout(ctx, h.o.timeout)
	defer cancel()
	m, err := process(ctx, w)
	if err != nil {
		return s, err
	}
	if in != nil {
		if err := in.Check(ctx, w.Output); err != nil {
			return s, fmt.Errorf("the output is wrong: %w", err)
		}
	}
	for _, command := range m.Servers {
		if !slices.Contains(h.r.Servers, command) {
			h.r.Servers = append(h.r.Servers, command)
		}
	}
	return report.Sample{
		Seconds: m.Seconds, CPUSeconds: m.CPUSeconds, ServerCPUSeconds: m.ServerCPUSeconds, PeakBytes: m.PeakBytes,
		P50: stats.Quantile(m.Latencies, 0.50), P99: stats.Quantile(m.Latencies, 0.99),
	}, nil
}

// save writes the report in its three forms.
func save(r *report.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{"peers.txt": r.WriteText, "peers.json": r.WriteJSON, "peers.html": r.WriteHTML} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return fmt.Errorf("peers: %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
