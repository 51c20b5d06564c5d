package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/benchmarks/workload"
)

func benchCommand() *cobra.Command {
	var b bench
	c := &cobra.Command{
		Use:   "bench [WORKLOAD]",
		Short: "measure how fast a pool of nodes in this process does a workload",
		Long: `Bench starts nodes in this process, on loopback, with real sockets and with data
directories on disk, has them do a workload and prints what that took. Making
the input and checking the output are not timed; an output that is wrong is an
error and no figure. Without a WORKLOAD it lists those there are.

Sizes are numbers of bytes, or as in 256MiB and 1GB.`,
		Example: `  muster bench wordcount --bytes 256MiB --nodes 3
  muster bench noop --tasks 1000000 --nodes 3 -o json
  muster bench bulk --replicas 3
  muster bench sort --bytes 1GiB --memory 64MiB --repeat 5 -o bench >new.txt && benchstat old.txt new.txt`,
		Args: args(0, 1),
		RunE: func(c *cobra.Command, a []string) error {
			if len(a) == 0 {
				return list(c.OutOrStdout())
			}
			return b.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), a[0])
		},
	}
	s := c.Flags()
	s.IntVar(&b.o.Nodes, "nodes", 0, "nodes of the pool (default: as many as hold the state)")
	s.IntVar(&b.o.Replicas, "replicas", 1, "nodes that hold the state: 1, 3 or 5")
	s.IntVar(&b.o.Slots, "slots", 0, "attempts at a time on each node (default: its share of the cores)")
	s.IntVar(&b.o.Tasks, "tasks", 0, "tasks, runs or map tasks (default: the workload's)")
	s.Var((*byteSize)(&b.o.Bytes), "bytes", "size of the input (default: the workload's)")
	s.Var((*byteSize)(&b.o.Memory), "memory", "bytes of pairs that each node holds in memory (default: 256MiB)")
	s.IntVar(&b.o.Keys, "keys", 0, "different keys or words of the input (default: the workload's)")
	s.Float64Var(&b.o.Skew, "skew", 0, "exponent of Zipf's law for how frequent they are, as in 1.2 (default: the workload's)")
	s.Uint64Var(&b.o.Seed, "seed", 1, "what the input is made from")
	s.IntVar(&b.o.Repeat, "repeat", 1, "how often to measure, each time with a fresh pool")
	s.StringVar(&b.o.Dir, "dir", "", "where to keep the input and the nodes' data meanwhile (default: the system's temporary directory)")
	s.StringVarP(&b.output, "output", "o", "table", "table, json (one object) or bench (for benchstat)")
	s.StringVar(&b.cpu, "cpuprofile", "", "file for a CPU profile of the measured part, the first time")
	s.StringVar(&b.heap, "memprofile", "", "file for a profile of what was allocated by the end")
	s.StringVar(&b.log, "log", "warn", "least level of the nodes' log lines: debug, info, warn or error")
	return c
}

// bench is what the command line asks for.
type bench struct {
	o         benchmarks.Options
	output    string
	cpu, heap string // files for profiles
	log       string
}

var printers = map[string]func(io.Writer, benchmarks.Report) error{
	"table": table,
	"json":  func(w io.Writer, r benchmarks.Report) error { return r.Write(w) },
	"bench": func(w io.Writer, r benchmarks.Report) error { _, err := io.WriteString(w, r.String()); return err },
}

func (b *bench) run(ctx context.Context, out, progress io.Writer, name string) (err error) {
	w, err := workload.Named(name)
	if err != nil {
		return fmt.Errorf("bench: %w: %w", err, errUsage)
	}
	printer := printers[b.output]
	if printer == nil {
		return fmt.Errorf("bench: -o %q: want table, json or bench: %w", b.output, errUsage)
	}
	o := b.o
	o.Progress = progress
	if o.Logger, err = logger(b.log); err != nil {
		return err
	}
	if b.cpu != "" {
		f, err := os.Create(b.cpu)
		if err != nil {
			return fmt.Errorf("bench: --cpuprofile: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		o.Profile = f
	}
	r, err := benchmarks.Measure(ctx, w, o)
	if err != nil {
		return err
	}
	if err := b.profileHeap(); err != nil {
		return err
	}
	return printer(out, r)
}

func (b *bench) profileHeap() (err error) {
	if b.heap == "" {
		return nil
	}
	f, err := os.Create(b.heap)
	if err != nil {
		return fmt.Errorf("bench: --memprofile: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	runtime.GC() // so that what is in use is
	return pprof.WriteHeapProfile(f)
}

// list says which workloads there are.
func list(w io.Writer) error {
	fmt.Fprintln(w, "Workloads, as in `muster bench noop`:")
	for _, k := range workload.All() {
		fmt.Fprintf(w, "\n  %s\n", k.Name())
		for line := range wrapped(k.About(), 72) {
			if _, err := fmt.Fprintf(w, "      %s\n", line); err != nil {
				return err
			}
		}
	}
	return nil
}

// wrapped yields text in lines of at most width bytes.
func wrapped(text string, width int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		line := ""
		for word := range strings.FieldsSeq(text) {
			if line != "" && len(line)+1+len(word) > width {
				if !yield(line) {
					return
				}
				line = ""
			}
			line = strings.TrimSpace(line + " " + word)
		}
		yield(line)
	}
}

// table prints a report for people.
func table(out io.Writer, r benchmarks.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "workload\t%s, seed %d, output checked\n", r.Workload, r.Seed)
	fmt.Fprintf(w, "pool\t%d nodes of %d slots on %d cores, %d with the state\n", r.Nodes, r.Slots, r.Cores, r.Replicas)
	fmt.Fprintf(w, "items\t%s\t%s/s\n", count(int(r.Items)), count(int(r.ItemsPerSecond)))
	if r.Bytes > 0 {
		fmt.Fprintf(w, "bytes\t%s\t%s/s\n", size(float64(r.Bytes)), size(r.BytesPerSecond))
	}
	fmt.Fprintf(w, "time\t%.3f s\t%.3f s of CPU\n", r.Seconds, r.CPUSeconds)
	fmt.Fprintf(w, "latency\tp50 %.3g ms\tp99 %.3g ms\n", r.P50, r.P99)
	fmt.Fprintf(w, "memory\t%s at most\n", size(float64(r.PeakBytes)))
	if len(r.Samples) > 1 {
		least, most := r.Seconds, r.Seconds
		for _, s := range r.Samples {
			least, most = min(least, s.Seconds), max(most, s.Seconds)
		}
		fmt.Fprintf(w, "repeated\t%d times, %.3f to %.3f s; the figures are those of the median\n", len(r.Samples), least, most)
	}
	return w.Flush()
}
