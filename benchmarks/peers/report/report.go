// Package report says what was measured: as text for a terminal, as JSON for
// programs, and as one page of HTML that needs nothing beside it.
package report

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/musterhq/muster/benchmarks/peers/stats"
)

// A Report is all that one call of the harness has measured, and on what.
type Report struct {
	Machine  Machine           `json:"machine"`
	Command  string            `json:"command"`
	Commit   string            `json:"commit"`
	Versions map[string]string `json:"versions"`
	// Servers are the commands that servers were started with.
	Servers []string `json:"servers"`
	Cells   []Cell   `json:"cells"`
	Series  []Series `json:"series"`
	// Missing are the sides that were left out, with the reason.
	Missing []string `json:"missing,omitempty"`
}

// Machine is what the figures depend on.
type Machine struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`  // that there are
	Cores  int    `json:"cores"` // that each side was given
	Memory int64  `json:"memory"`
	System string `json:"system"`
	Disk   string `json:"disk"` // the kind of file system that all data was on
	Go     string `json:"go"`
	Load   string `json:"load"` // what else went on when the measuring began
	Nodes  int    `json:"nodes"`
	// Servers is how many of muster's nodes held the state.
	Servers int `json:"servers"`
}

// A Cell is one piece of work, and what it took each side.
type Cell struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Title string `json:"title"`
	// Items is how many there were of what Unit names, and Bytes how large
	// they were together.
	Items  int64  `json:"items"`
	Unit   string `json:"unit"`
	Bytes  int64  `json:"bytes"`
	Memory int64  `json:"memory,omitempty"`
	Rows   []Row  `json:"rows"`
}

// A Row is what the work took one side.
type Row struct {
	Side  string `json:"side"`
	Label string `json:"label"`
	About string `json:"about"`
	// Error is why there are fewer samples than there should be.
	Error   string   `json:"error,omitempty"`
	Samples []Sample `json:"samples"`

	Seconds    stats.Summary `json:"seconds"`
	CPUSeconds stats.Summary `json:"cpu_seconds"`
	PeakBytes  stats.Summary `json:"peak_bytes"`
	P50        stats.Summary `json:"p50_ms"` // of latencies, where they are what it is about
	P99        stats.Summary `json:"p99_ms"`
	// Ratios are to each of muster's sides.
	Ratios []Ratio `json:"ratios,omitempty"`
}

// A Sample is one time that the work was done. Those of one number are of one
// round.
type Sample struct {
	Round            int     `json:"round"`
	Seconds          float64 `json:"seconds"`
	CPUSeconds       float64 `json:"cpu_seconds"`
	ServerCPUSeconds float64 `json:"server_cpu_seconds,omitempty"`
	PeakBytes        int64   `json:"peak_bytes"`
	P50              float64 `json:"p50_ms,omitempty"`
	P99              float64 `json:"p99_ms,omitempty"`
}

// A Ratio is how many times as much something took as it took muster, round by
// round.
type Ratio struct {
	To         string        `json:"to"`
	Seconds    stats.Summary `json:"seconds"`
	CPUSeconds stats.Summary `json:"cpu_seconds"`
	P50        stats.Summary `json:"p50"`
	P99        stats.Summary `json:"p99"`
}

// A Series is cells that differ in one thing.
type Series struct {
	Title string  `json:"title"`
	Kind  string  `json:"kind"`
	X     string  `json:"x"` // what they differ in
	At    []Point `json:"at"`
}

// A Point is where a cell is in a series.
type Point struct {
	Cell  string  `json:"cell"`
	X     float64 `json:"x"`
	Label string  `json:"label"`
}

// Ours says whether a side is one of muster's.
func Ours(side string) bool { return strings.HasPrefix(side, "muster") }

// What of a sample is looked at.
func seconds(s Sample) float64    { return s.Seconds }
func cpuSeconds(s Sample) float64 { return s.CPUSeconds }
func peak(s Sample) float64       { return float64(s.PeakBytes) }
func p50(s Sample) float64        { return s.P50 }
func p99(s Sample) float64        { return s.P99 }

// Summarize fills in what follows from the samples.
func (c *Cell) Summarize() {
	for i := range c.Rows {
		r := &c.Rows[i]
		r.Seconds, r.CPUSeconds, r.PeakBytes = r.summary(seconds), r.summary(cpuSeconds), r.summary(peak)
		r.P50, r.P99 = stats.Summary{}, stats.Summary{}
		if r.latencies() {
			r.P50, r.P99 = r.summary(p50), r.summary(p99)
		}
		r.Ratios = nil
		for _, to := range c.Rows {
			if Ours(to.Side) && to.Side != r.Side && len(to.Samples) > 0 && len(r.Samples) > 0 {
				r.Ratios = append(r.Ratios, Ratio{to.Side, r.over(to, seconds), r.over(to, cpuSeconds), r.over(to, p50), r.over(to, p99)})
			}
		}
	}
}

func (r *Row) latencies() bool { return len(r.Samples) > 0 && r.Samples[0].P50 > 0 }

func (r *Row) summary(of func(Sample) float64) stats.Summary {
	values := make([]float64, 0, len(r.Samples))
	for _, s := range r.Samples {
		values = append(values, of(s))
	}
	return stats.Summarize(values)
}

// over returns how many times as much r took as to, by the rounds that both
// have.
func (r *Row) over(to Row, of func(Sample) float64) stats.Summary {
	var a, b []float64
	for _, s := range r.Samples {
		for _, t := range to.Samples {
			if s.Round == t.Round {
				a, b = append(a, of(s)), append(b, of(t))
			}
		}
	}
	return stats.Ratios(a, b)
}

// Find returns the cell of the given ID.
func (r *Report) Find(id string) (Cell, bool) {
	for _, c := range r.Cells {
		if c.ID == id {
			return c, true
		}
	}
	return Cell{}, false
}

// WriteJSON writes the report as one object.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
