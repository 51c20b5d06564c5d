package benchmarks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/benchmarks/workload"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/node"
)

// small is each workload at a size that takes no time to speak of.
var small = map[string]benchmarks.Options{
	"noop":      {Tasks: 1000},
	"idle":      {Tasks: 20},
	"runs":      {Tasks: 40},
	"bulk":      {Tasks: 2500},
	"fires":     {Tasks: 500},
	"wordcount": {Bytes: 256 << 10},
	"sort":      {Bytes: 256 << 10},
	"index":     {Bytes: 128 << 10},
	"groupby":   {Bytes: 128 << 10},
}

func TestEveryWorkloadIsRightOnOneNodeAndOnThree(t *testing.T) {
	for _, w := range workload.All() {
		if w.Name() == "ticks" {
			continue // it takes half a minute: package workload tries it with shorter periods
		}
		for _, nodes := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/nodes=%d", w.Name(), nodes), func(t *testing.T) {
				o, ok := small[w.Name()]
				if !ok {
					t.Fatalf("no small size for %s", w.Name())
				}
				o.Nodes, o.Seed, o.Dir = nodes, 7, t.TempDir()
				o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
				r, err := benchmarks.Measure(t.Context(), w, o)
				if err != nil {
					t.Fatal(err)
				}
				if !r.Checked || r.Workload != w.Name() || r.Nodes != nodes || r.Replicas != 1 || r.Seed != 7 {
					t.Errorf("got %+v, want it checked, and what was asked for", r)
				}
				if r.Items < 1 || r.Seconds <= 0 || r.ItemsPerSecond <= 0 || r.P50 <= 0 || r.P99 < r.P50 || r.PeakBytes <= 0 {
					t.Errorf("got %+v, want figures", r)
				}
				if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
					t.Errorf("got %v, %v left in Dir, want nothing", left, err)
				}
			})
		}
	}
}

// TestReplicasHoldTheState has three nodes that do.
func TestReplicasHoldTheState(t *testing.T) {
	for _, name := range []string{"noop", "bulk"} {
		w, err := workload.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		o := small[name]
		o.Replicas, o.Dir = 3, t.TempDir()
		r, err := benchmarks.Measure(t.Context(), w, o)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Checked || r.Nodes != 3 || r.Replicas != 3 {
			t.Errorf("got %+v, want it checked, and three nodes with the state", r)
		}
	}
}

// fake is a workload of which the test says how it goes.
type fake struct {
	prepare, run, check func(n int) error
	n                   *int // runs so far
}

func (fake) Name() string                   { return "fake" }
func (fake) About() string                  { return "nothing" }
func (fake) Size() (items, bytes int64)     { return 10, 20 }
func (fake) Processors() mapreduce.Registry { return nil }
func (fake) Latencies() []time.Duration {
	return []time.Duration{4 * time.Millisecond, time.Millisecond, 3 * time.Millisecond, 2 * time.Millisecond}
}

func (f fake) Prepare(context.Context, benchmarks.Options, string) (benchmarks.Trial, error) {
	return f, f.prepare(0)
}

func (f fake) Run(context.Context, []*node.Node) error { *f.n++; return f.run(*f.n) }
func (f fake) Check(context.Context) error             { return f.check(*f.n) }

func newFake() fake {
	fine := func(int) error { return nil }
	return fake{prepare: fine, run: fine, check: fine, n: new(int)}
}

func TestWhatGoesWrongIsNoFigure(t *testing.T) {
	wrong := errors.New("two and two were five")
	atSecond := func(n int) error {
		if n == 2 {
			return wrong
		}
		return nil
	}
	cases := map[string]func(f *fake){
		"input":  func(f *fake) { f.prepare = func(int) error { return wrong } },
		"run":    func(f *fake) { f.run = atSecond },
		"output": func(f *fake) { f.check = atSecond },
	}
	for name, with := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			with(&f)
			r, err := benchmarks.Measure(t.Context(), f, benchmarks.Options{Repeat: 3})
			if !errors.Is(err, wrong) || r.Checked || r.Seconds != 0 {
				t.Errorf("got %+v, %v, want no figure and the error %v", r, err, wrong)
			}
			if *f.n > 2 {
				t.Errorf("got %d runs, want none after the one that went wrong", *f.n)
			}
		})
	}
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	cases := map[string]benchmarks.Options{
		"Nodes -1":    {Nodes: -1},
		"Nodes 1000":  {Nodes: 1000},
		"Replicas 2":  {Nodes: 3, Replicas: 2},
		"Replicas 3":  {Nodes: 2, Replicas: 3},
		"Replicas -1": {Replicas: -1},
		"Slots -1":    {Slots: -1},
		"Memory -1":   {Memory: -1},
		"Tasks -1":    {Tasks: -1},
		"Bytes -1":    {Bytes: -1},
		"Repeat -1":   {Repeat: -1},
		"Keys -1":     {Keys: -1},
		"Skew -1":     {Skew: -1},
		"Skew NaN":    {Skew: math.NaN()},
		"Dir":         {Dir: "/nowhere/at/all"},
	}
	for want, o := range cases {
		f := newFake()
		if _, err := benchmarks.Measure(t.Context(), f, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one about %q", err, want)
		}
		if *f.n > 0 {
			t.Errorf("%s: it was run", want)
		}
	}
}

func TestReportHasTheQuantilesAndAllRepetitions(t *testing.T) {
	r, err := benchmarks.Measure(t.Context(), newFake(), benchmarks.Options{Repeat: 3})
	if err != nil {
		t.Fatal(err)
	}
	if r.P50 != 2 || r.P99 != 4 {
		t.Errorf("got p50 %v ms, p99 %v ms, want 2 and 4", r.P50, r.P99)
	}
	if len(r.Samples) != 3 {
		t.Errorf("got %d samples, want 3", len(r.Samples))
	}
	slower, faster := 0, 0
	for _, s := range r.Samples {
		if s.Seconds > r.Seconds {
			slower++
		} else if s.Seconds < r.Seconds {
			faster++
		}
	}
	if slower > 1 || faster > 1 {
		t.Errorf("got %v s of %+v, want the median", r.Seconds, r.Samples)
	}
}

func TestReportIsOneObjectWithAllFields(t *testing.T) {
	r := benchmarks.Report{Workload: "sort", Nodes: 3, Sample: benchmarks.Sample{Seconds: 2}}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	d := json.NewDecoder(&b)
	if err := d.Decode(&got); err != nil || d.More() {
		t.Fatalf("got %v, more %v, want one object", err, d.More())
	}
	for _, field := range strings.Fields("workload nodes replicas items bytes seconds cpu_seconds items_per_second bytes_per_second p50_ms p99_ms peak_bytes checked seed go cores") {
		if _, ok := got[field]; !ok {
			t.Errorf("got %v, want %s in it", got, field)
		}
	}
}

// TestReportReadsLikeThatOfGoTest holds the text to the rules that benchstat
// has: fields that begin with the name, the count, then pairs of value and
// unit.
func TestReportReadsLikeThatOfGoTest(t *testing.T) {
	s := benchmarks.Sample{Seconds: 0.5, CPUSeconds: 0.25, P50: 1.5, P99: 2.5, PeakBytes: 1024}
	r := benchmarks.Report{Workload: "sort", Nodes: 3, Items: 100, Bytes: 1e6, Sample: s, Samples: []benchmarks.Sample{s, s}}
	lines := 0
	for line := range strings.Lines(r.String()) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, "Benchmark") {
			if key, _, ok := strings.Cut(line, ": "); !ok || strings.ToLower(key) != key || strings.Contains(key, " ") {
				t.Errorf("got the line %q, want key: value", line)
			}
			continue
		}
		lines++
		if fields[0] != "BenchmarkMuster/sort/nodes=3" || fields[1] != "1" || len(fields)%2 != 0 {
			t.Fatalf("got the line %q, want a name, a count and pairs", line)
		}
		got := map[string]float64{}
		for i := 2; i < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				t.Error(err)
			}
			got[fields[i+1]] = v
		}
		want := map[string]float64{
			"ns/op": 5e8, "MB/s": 2, "items/s": 200, "cpu-ns/op": 2.5e8, "p50-ns": 1.5e6, "p99-ns": 2.5e6, "peak-B": 1024,
		}
		for unit, v := range want {
			if got[unit] != v {
				t.Errorf("got %v %s, want %v", got[unit], unit, v)
			}
		}
	}
	if lines != 2 {
		t.Errorf("got %d lines of figures, want one for each repetition", lines)
	}
}
