// Package benchmarks measures how fast a pool of nodes does a workload, and
// believes no figure whose output it has not checked.
//
// Measure starts nodes in this process, on loopback with real sockets and data
// directories on disk, has them do a Workload and reports what that took.
// Making the input, starting the pool and checking the output are not timed.
// A wrong output is an error and never a Report.
//
// The nodes share one process and its cores with each other and with the
// caller: more nodes show what distribution costs, not what more machines
// would give. The workloads are in package workload.
package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/node"
)

// A Workload is something that a pool of nodes can be measured at.
type Workload interface {
	// Name is one word in lower case.
	Name() string
	// About says in a line what it does and what its items are.
	About() string
	// Prepare makes the input that o asks for, in dir and the same for the
	// same seed. A Tasks or Bytes of 0 in o is for the workload to choose; all
	// other fields have been given their defaults.
	Prepare(ctx context.Context, o Options, dir string) (Trial, error)
}

// A Trial is a workload whose input is made. It may be run several times, one
// after the other, each time on another pool.
type Trial interface {
	// Size returns how many items there are, and how many bytes they have.
	Size() (items, bytes int64)
	// Processors are what the nodes have to be able to run.
	Processors() mapreduce.Registry
	// Run does the work on the pool, to the point where the caller has the
	// result. It is what is measured, so it leaves all checks to Check.
	Run(ctx context.Context, pool []*node.Node) error
	// Check returns an error unless what the last Run gave is right. The pool
	// is gone by then.
	Check(ctx context.Context) error
	// Latencies returns how long each of the things took, during the last Run,
	// that the workload has latencies of.
	Latencies() []time.Duration
}

// Readied is a Trial for which the pool has to do something before what is
// measured.
type Readied interface {
	Trial
	// Ready does that, and returns when what is measured begins. It is called
	// before each Run, on the same pool.
	Ready(ctx context.Context, pool []*node.Node) error
}

// Configured is a Trial whose nodes need other settings than the default ones.
type Configured interface {
	Trial
	// Configure changes those of a node.
	Configure(cfg *node.Config)
}

// Measure has a pool do w and reports what that took. It is repeated
// o.Repeat times, each on a fresh pool; the report is about the one that took
// the median time, and has all in Samples.
func Measure(ctx context.Context, w Workload, o Options) (Report, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return Report{}, err
	}
	r, err := measure(ctx, w, o)
	if err != nil {
		return Report{}, fmt.Errorf("benchmarks: %s: %w", w.Name(), err)
	}
	return r, nil
}

func measure(ctx context.Context, w Workload, o Options) (r Report, err error) {
	dir, err := os.MkdirTemp(o.Dir, "muster-bench-")
	if err != nil {
		return r, fmt.Errorf("option Dir %q: %w: name a directory that can be written", o.Dir, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	input := filepath.Join(dir, "input")
	if err := os.Mkdir(input, 0o700); err != nil {
		return r, err
	}
	began := time.Now()
	trial, err := w.Prepare(ctx, o, input)
	if err != nil {
		return r, fmt.Errorf("input: %w", err)
	}
	items, size := trial.Size()
	o.progress("%s: %d items, %d bytes, made in %v", w.Name(), items, size, time.Since(began).Round(time.Millisecond))
	var samples []Sample
	for n := range o.Repeat {
		s, err := sample(ctx, trial, o, filepath.Join(dir, fmt.Sprintf("pool-%d", n)), n == 0)
		if err != nil {
			return r, err
		}
		o.progress("%s: %d of %d: %.3f s, %.3f s of CPU, output checked", w.Name(), n+1, o.Repeat, s.Seconds, s.CPUSeconds)
		samples = append(samples, s)
	}
	return newReport(w, o, items, size, samples), nil
}

// sample has a fresh pool do the trial once.
func sample(ctx context.Context, trial Trial, o Options, dir string, first bool) (s Sample, err error) {
	pool, err := startPool(ctx, o, dir, trial)
	if err != nil {
		return s, err
	}
	s, err = timed(ctx, trial, pool, o, first)
	if err := errors.Join(err, stopPool(ctx, pool), os.RemoveAll(dir)); err != nil {
		return s, err
	}
	if err := trial.Check(ctx); err != nil {
		return s, fmt.Errorf("the output is wrong: %w", err)
	}
	return s, nil
}

// timed runs the trial between two looks at the clocks.
func timed(ctx context.Context, trial Trial, pool []*node.Node, o Options, first bool) (s Sample, err error) {
	debug.FreeOSMemory() // what making the input left is not the pool's
	resetPeak()
	if r, ok := trial.(Readied); ok {
		if err := r.Ready(ctx, pool); err != nil {
			return s, err
		}
	}
	stop, err := profile(o.Profile, first)
	if err != nil {
		return s, err
	}
	cpu, began := cpuTime(), time.Now()
	err = trial.Run(ctx, pool)
	took, cpu := time.Since(began), cpuTime()-cpu
	stop()
	if err != nil {
		return s, err
	}
	latencies := slices.Sorted(slices.Values(trial.Latencies()))
	return Sample{
		Seconds: took.Seconds(), CPUSeconds: cpu.Seconds(), PeakBytes: peakBytes(),
		P50: milliseconds(quantile(latencies, 0.50)), P99: milliseconds(quantile(latencies, 0.99)),
	}, nil
}

// profile writes a profile of the first repetition to w, if there is one: two
// profiles in one file could not be read.
func profile(w io.Writer, first bool) (stop func(), err error) {
	if w == nil || !first {
		return func() {}, nil
	}
	if err := pprof.StartCPUProfile(w); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return pprof.StopCPUProfile, nil
}

// quantile returns the smallest of sorted that a share q is not above, and 0
// of nothing.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
