package benchmarks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
)

// A Report is what a workload took. There is none for an output that was
// wrong.
type Report struct {
	Workload string `json:"workload"`
	Nodes    int    `json:"nodes"`
	Replicas int    `json:"replicas"` // nodes that hold the state
	Items    int64  `json:"items"`    // what they are is in the workload's About
	Bytes    int64  `json:"bytes"`    // of input

	Sample // the one that took the median time

	ItemsPerSecond float64 `json:"items_per_second"`
	BytesPerSecond float64 `json:"bytes_per_second"`

	// Checked says that the output of each repetition was compared with what
	// it has to be, and was that.
	Checked bool `json:"checked"`

	Slots  int     `json:"slots"`  // of each node
	Memory int64   `json:"memory"` // of each node; 0 is the node's default
	Keys   int     `json:"keys"`   // asked for; 0 is the workload's own
	Skew   float64 `json:"skew"`   // asked for; 0 is the workload's own
	Seed   uint64  `json:"seed"`
	Cores  int     `json:"cores"`
	Go     string  `json:"go"`
	OS     string  `json:"os"`
	Arch   string  `json:"arch"`

	// Samples are all repetitions, in the order in which they were made.
	Samples []Sample `json:"samples"`
}

// A Sample is what one repetition took.
type Sample struct {
	// Seconds is from the first Submit to when the caller had the result.
	Seconds float64 `json:"seconds"`
	// CPUSeconds is the processor time of the whole process in the meantime,
	// of users' code and ours alike. It is 0 where the system can't say.
	CPUSeconds float64 `json:"cpu_seconds"`
	// P50 and P99 are of the latencies that the workload has; see its About.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	// PeakBytes is the most memory that the process had resident meanwhile, of
	// all nodes and the caller, with the pages of files that it maps. Where
	// the system can't say, it is what the Go runtime has taken from it.
	PeakBytes int64 `json:"peak_bytes"`
}

func newReport(w Workload, o Options, items, size int64, samples []Sample) Report {
	order := slices.SortedFunc(slices.Values(samples), func(a, b Sample) int { return cmp.Compare(a.Seconds, b.Seconds) })
	median := order[(len(order)-1)/2]
	return Report{
		Workload: w.Name(), Nodes: o.Nodes, Replicas: o.Replicas, Items: items, Bytes: size, Sample: median,
		ItemsPerSecond: float64(items) / median.Seconds, BytesPerSecond: float64(size) / median.Seconds,
		Checked: true, Slots: o.Slots, Memory: o.Memory, Keys: o.Keys, Skew: o.Skew, Seed: o.Seed,
		Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Samples: samples,
	}
}

// String returns the report in the form of go test -bench, which benchstat
// reads: what the figures depend on, then a line for each repetition.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/musterhq/muster/benchmarks\n", r.OS, r.Arch)
	fmt.Fprintf(&b, "go: %s\ncores: %d\nslots: %d\nmemory: %d\nkeys: %d\nskew: %g\nseed: %d\nitems: %d\nbytes: %d\n", r.Go, r.Cores, r.Slots, r.Memory, r.Keys, r.Skew, r.Seed, r.Items, r.Bytes)
	for _, s := range r.Samples {
		fmt.Fprintf(&b, "BenchmarkMuster/%s/nodes=%d 1 %.0f ns/op", r.Workload, r.Nodes, s.Seconds*1e9)
		if r.Bytes > 0 {
			fmt.Fprintf(&b, " %.2f MB/s", float64(r.Bytes)/s.Seconds/1e6)
		}
		fmt.Fprintf(&b, " %.1f items/s %.0f cpu-ns/op %.0f p50-ns %.0f p99-ns %d peak-B\n",
			float64(r.Items)/s.Seconds, s.CPUSeconds*1e9, s.P50*1e6, s.P99*1e6, s.PeakBytes)
	}
	return b.String()
}

// Write writes the report as one JSON object on a line.
func (r Report) Write(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
