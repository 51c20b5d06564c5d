// Package side is those that do the same work beside each other: muster, and
// what one would otherwise pick. Each does a piece of work once, in a process
// of its own, and says what that took. Starting servers, nodes and programs is
// not timed, and neither is making inputs or checking outputs.
//
// Work on tasks is checked here, as it is done: each side keeps its records in
// a way of its own. What leaves an output is checked by package input.
package side

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/musterhq/muster/benchmarks/peers/server"
	"github.com/musterhq/muster/benchmarks/peers/usage"
)

// The kinds of work.
const (
	Tasks     = "tasks"     // do Tasks no-op tasks that are durable, and record the outcome of each
	Latency   = "latency"   // do one task at a time, with nothing else going on, Tasks times
	WordCount = "wordcount" // count the words of a text
	Sort      = "sort"      // sort records by their keys
	GroupBy   = "groupby"   // add up the numbers of each key
)

// Work is what there is to do, once.
type Work struct {
	Kind string `json:"kind"`
	Side string `json:"side"`
	// Cores is how many processors there are to use.
	Cores int `json:"cores"`
	// Nodes is how many nodes muster has, all in one process, and Servers how
	// many of them hold the state.
	Nodes   int `json:"nodes"`
	Servers int `json:"servers"`
	// Tasks is how many, and Payload how many bytes each carries.
	Tasks   int `json:"tasks,omitempty"`
	Payload int `json:"payload,omitempty"`
	// Memory is the bytes that a side may hold where it can be told, and 0
	// leaves it to each.
	Memory int64 `json:"memory,omitempty"`
	// Input and Output are directories of files, and Dir one for all else; the
	// latter two are empty.
	Input  string `json:"input,omitempty"`
	Output string `json:"output,omitempty"`
	Dir    string `json:"dir"`
}

// A Measure is what it took.
type Measure struct {
	Seconds float64 `json:"seconds"`
	// CPUSeconds is the processor time of the process, of those that it
	// started, and of its servers; ServerCPUSeconds is the share of the latter.
	CPUSeconds       float64 `json:"cpu_seconds"`
	ServerCPUSeconds float64 `json:"server_cpu_seconds,omitempty"`
	// PeakBytes is the most memory that any one of the processes had resident,
	// without the servers.
	PeakBytes int64 `json:"peak_bytes"`
	// Latencies are of each task, in milliseconds, where they are what the
	// work is about.
	Latencies []float64 `json:"latencies,omitempty"`
	// Servers are the commands that the servers were started with.
	Servers []string `json:"servers,omitempty"`
}

// A Side does work of one kind.
type Side struct {
	Kind  string
	Name  string // a word
	Label string // for people
	About string // how it does it
	// Missing says what has to be installed, if something has. Nil means that
	// nothing is needed.
	Missing func() error
	// Needs is what else is measured with the side, and Version which version
	// of that, if it is not in go.mod.
	Needs   string
	Version func() string
	Do      func(ctx context.Context, w Work) (Measure, error)
}

// All returns the sides, muster's first for each kind of work.
func All() []Side {
	return slices.Concat(musterTasks, asynqTasks, riverTasks, musterData, golangData, coreutilsData, duckdbData, bigsliceData)
}

// Of returns the sides that do a kind of work.
func Of(kind string) []Side {
	return slices.DeleteFunc(All(), func(s Side) bool { return s.Kind != kind })
}

// Do has the side that w names do it.
func Do(ctx context.Context, w Work) (Measure, error) {
	for _, s := range Of(w.Kind) {
		if s.Name == w.Side {
			m, err := s.Do(ctx, w)
			if err != nil {
				err = fmt.Errorf("side: %s by %s: %w", w.Kind, w.Side, err)
			}
			return m, err
		}
	}
	return Measure{}, fmt.Errorf("side: nobody called %q does %q", w.Side, w.Kind)
}

// timed measures f, and with it what servers do meanwhile.
func timed(f func() error, servers ...*server.Server) (m Measure, err error) {
	usage.ResetPeak()
	before, err := serverTime(servers)
	if err != nil {
		return m, err
	}
	own, began := usage.Own(), time.Now()
	if err := f(); err != nil {
		return m, err
	}
	took, own := time.Since(began), usage.Own()-own
	after, err := serverTime(servers)
	if err != nil {
		return m, err
	}
	m = Measure{
		Seconds: took.Seconds(), CPUSeconds: (own + after - before).Seconds(),
		ServerCPUSeconds: (after - before).Seconds(), PeakBytes: usage.Peak(),
	}
	for _, s := range servers {
		m.Servers = append(m.Servers, s.Command)
	}
	return m, nil
}

func serverTime(servers []*server.Server) (sum time.Duration, err error) {
	for _, s := range servers {
		t, err := usage.Tree(s.PID())
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}
