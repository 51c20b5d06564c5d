package main

import (
	"flag"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// options are what the command line asks for.
type options struct {
	sizes
	only           []string
	cores          int
	nodes, servers int
	seed           uint64
	dir, out       string
	from           string
	timeout        time.Duration
	line           string // as it was typed
}

// parse reads the command line.
func parse(args []string, usage io.Writer) (o options, err error) {
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.SetOutput(usage)
	size := f.String("size", "small", "small, which takes two minutes, or full, which takes two hours; the flags below change single sizes of it")
	only := f.String("only", "", "kinds of work, or kinds and sides, as in sort,tasks/river,tasks/muster-runs (default all)")
	repeat := f.Int("repeat", 0, "rounds (default 3 if small, 5 if full)")
	f.IntVar(&o.cores, "cores", 2, "processors that each side has")
	f.IntVar(&o.nodes, "nodes", 1, "nodes of muster, all in one process")
	f.IntVar(&o.servers, "servers", 1, "how many of them hold the state: 1, 3 or 5")
	f.Uint64Var(&o.seed, "seed", 1, "what inputs are made from")
	f.StringVar(&o.dir, "dir", "", "where inputs and the data of all sides are meanwhile, whose disk is part of what is measured (default: the system's temporary directory)")
	f.StringVar(&o.out, "out", ".", "directory for peers.txt, peers.json and peers.html")
	f.StringVar(&o.from, "from", "", "do not measure, but write the text and the page of this peers.json again")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "bound on each sample, with the start of its servers")
	overrides := o.sizes.flags(f)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("peers: %q: want flags only", f.Arg(0))
	}
	preset, ok := presets[*size]
	if !ok {
		return o, fmt.Errorf("peers: -size %q: want small or full", *size)
	}
	o.sizes = preset
	for _, override := range overrides {
		if err := override(&o.sizes); err != nil {
			return o, err
		}
	}
	if *repeat != 0 {
		o.repeat = *repeat
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	o.nodes = max(o.nodes, o.servers)
	o.line = strings.Join(append([]string{"peers"}, args...), " ")
	return o, o.validate()
}

func (o *options) validate() error {
	switch {
	case o.cores < 1 || o.cores > runtime.NumCPU():
		return fmt.Errorf("peers: -cores %d: want 1 to %d, as many as there are", o.cores, runtime.NumCPU())
	case o.servers != 1 && o.servers != 3 && o.servers != 5:
		return fmt.Errorf("peers: -servers %d: want 1, 3 or 5", o.servers)
	case o.repeat < 1 || o.repeat > 1000:
		return fmt.Errorf("peers: -repeat %d: want 1 to 1000", o.repeat)
	}
	return nil
}

// flags defines a flag for each of the sizes and returns what puts those in
// that were given.
func (sizes) flags(f *flag.FlagSet) (overrides []func(*sizes) error) {
	add := func(name, about string, put func(s *sizes, fields []string) error) {
		text := f.String(name, "", about)
		overrides = append(overrides, func(s *sizes) error {
			if *text == "" {
				return nil
			}
			if err := put(s, strings.Split(*text, ",")); err != nil {
				return fmt.Errorf("peers: -%s: %w", name, err)
			}
			return nil
		})
	}
	list := func(name, about string, of func(*sizes) *[]int64) {
		add(name, about, func(s *sizes, fields []string) (err error) { *of(s), err = each(fields, number); return err })
	}
	one := func(name, about string, of func(*sizes) *int64) {
		add(name, about, func(s *sizes, fields []string) (err error) {
			*of(s), err = number(strings.Join(fields, ","))
			return err
		})
	}
	list("tasks", "numbers of tasks, as in 1000,100000", func(s *sizes) *[]int64 { return &s.tasks })
	list("payloads", "bytes of payload, as in 0,64KiB", func(s *sizes) *[]int64 { return &s.payloads })
	one("payload-tasks", "tasks for each of payloads", func(s *sizes) *int64 { return &s.payloadTasks })
	one("latencies", "tasks of which the latency is taken", func(s *sizes) *int64 { return &s.latencies })
	list("text", "bytes of text, as in 16MiB,1GiB", func(s *sizes) *[]int64 { return &s.text })
	add("exponents", "exponents of Zipf's law, as in 1,1.5", func(s *sizes, fields []string) (err error) {
		s.exponents, err = each(fields, func(text string) (float64, error) { return strconv.ParseFloat(text, 64) })
		return err
	})
	one("exponent-text", "bytes of text for each of exponents", func(s *sizes) *int64 { return &s.exponentText })
	list("sort", "bytes of records, as in 1GiB", func(s *sizes) *[]int64 { return &s.sort })
	list("lengths", "bytes of a record to sort, as in 20,64KiB", func(s *sizes) *[]int64 { return &s.lengths })
	one("length-bytes", "bytes of records for each of lengths", func(s *sizes) *int64 { return &s.lengthBytes })
	list("rows", "rows to group, with a key each", func(s *sizes) *[]int64 { return &s.rows })
	add("keys", "distributions of keys, as in distinct,hundred,zipf1.2,one", func(s *sizes, fields []string) error { s.keys = fields; return nil })
	one("key-rows", "rows for each of keys", func(s *sizes) *int64 { return &s.keyRows })
	one("memory", "bytes that each side may hold where it can be told, as in 2GiB", func(s *sizes) *int64 { return &s.memory })
	one("tight", "another bound of memory, for the largest of sort", func(s *sizes) *int64 { return &s.tight })
	return overrides
}

func each[T any](fields []string, read func(string) (T, error)) (all []T, err error) {
	for _, field := range fields {
		v, err := read(field)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// number reads a number, with its unit if it is of bytes.
func number(text string) (int64, error) {
	digits, unit := text, int64(1)
	for name, n := range map[string]int64{"KiB": kib, "MiB": mib, "GiB": gib} {
		if rest, ok := strings.CutSuffix(text, name); ok {
			digits, unit = rest, n
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<40/unit {
		return 0, fmt.Errorf("%q: want a number, or one of bytes as in 64KiB", text)
	}
	return n * unit, nil
}
