package state

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// most adds sizes to the benchmarks that fill a store, up to so many runs. Ten
// million take minutes and several GB of disk.
var most = flag.Int("most", 1_000_000, "runs that wait in the largest benchmark")

// sizes returns how many runs wait, ten times as many each time.
func sizes() (all []int) {
	for n := 100_000; n <= *most; n *= 10 {
		all = append(all, n)
	}
	return all
}

// waitingRuns fills a store with runs that wait: for a time, or for a master
// in so many lines.
func waitingRuns(b *testing.B, f *fsm, n, lines int, delayed bool) {
	b.Helper()
	var cs []wire.Command
	index := uint64(0)
	for i := range n {
		line := ""
		if lines > 1 {
			line = fmt.Sprintf("%08x", i%lines)
		}
		c := &wire.CreateRun{
			Run: job.RunID(fmt.Sprintf("d/j@20260329T030000Z-%08d", i)), Namespace: "d", Job: "j", Line: line,
			Created: noon.UnixNano() + int64(i), Record: make([]byte, 200),
		}
		if delayed {
			c.NotBefore = c.Created + int64(time.Hour) + int64(i%1000)*int64(time.Second)
		}
		if cs = append(cs, c); len(cs) == entryCommands || i == n-1 {
			index++
			f.Apply(logOf(b, index, cs...))
			must(b, f.failure())
			cs = cs[:0]
		}
	}
}

// rested returns the state after a restart, and how many MiB of the heap it
// takes: what the store needed to write is given back.
func rested(b *testing.B, fill func(f *fsm)) (s *State, mib float64) {
	b.Helper()
	dir := b.TempDir()
	kv := openKV(b, dir)
	began := time.Now()
	fill(openFSM(b, kv))
	took := time.Since(began)
	must(b, kv.Close())
	before := heap()
	s = &State{kv: openKV(b, dir)}
	s.fsm = openFSM(b, s.kv)
	if n := len(s.fsm.live); n > 0 {
		b.Fatalf("%d runs are in memory", n)
	}
	b.Logf("recorded in %v", took)
	return s, float64(int64(heap())-int64(before)) / (1 << 20)
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkWaiting is what it takes to find the next run that begins where
// many wait, in one line and in as many as a tenth of them, after a tenth has
// begun.
func BenchmarkWaiting(b *testing.B) {
	for _, n := range sizes() {
		for _, lines := range []int{1, n / 10} {
			b.Run(fmt.Sprintf("runs=%d/lines=%d", n, lines), func(b *testing.B) { benchWaiting(b, n, lines) })
		}
	}
}

func benchWaiting(b *testing.B, n, lines int) {
	s, mib := rested(b, func(f *fsm) { waitingRuns(b, f, n, lines, false) })
	const page = 256
	index := uint64(1 << 20)
	next := func() (took time.Duration) {
		began := time.Now()
		l, err := s.Lines()
		must(b, err)
		var cs []wire.Command
		line, ok, err := l.Line(Waiting{Priority: job.MaxPriority})
		must(b, err)
		for at := line; ok && len(cs) < page; {
			w, more, err := l.Run(at)
			must(b, err)
			if more {
				cs = append(cs, &wire.AssignRun{Run: w.ID, Master: "m", At: 1})
				at = w
				at.ID += "\x01"
				continue
			}
			line.Line += "\x01"
			line, ok, err = l.Line(line)
			must(b, err)
			at = line
		}
		l.Close()
		if took = time.Since(began); len(cs) < page {
			b.Fatal("nobody waits any more")
		}
		index++
		s.fsm.Apply(logOf(b, index, cs...))
		must(b, s.fsm.failure())
		return took
	}
	for range n / 10 / page {
		next()
	}
	b.ResetTimer()
	var reads time.Duration
	for range b.N {
		reads += next()
	}
	b.ReportMetric(float64(reads.Nanoseconds())/float64(b.N)/page, "ns/run")
	b.ReportMetric(mib, "heap-MiB")
}

// BenchmarkDelayed is what it takes to find the next page of runs that are due
// where many wait for their time, and to let them wait for a master, after a
// tenth of them has come due.
func BenchmarkDelayed(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprintf("runs=%d", n), func(b *testing.B) {
			s, mib := rested(b, func(f *fsm) { waitingRuns(b, f, n, 1, true) })
			const page = 256
			index := uint64(1 << 20)
			next := func() (took time.Duration) {
				began := time.Now()
				due, err := s.Due(noon.Add(24*time.Hour), page)
				must(b, err)
				if took = time.Since(began); len(due) < page {
					b.Fatal("nobody waits any more")
				}
				var cs []wire.Command
				for _, w := range due {
					cs = append(cs, &wire.AdmitRun{Run: w.ID})
				}
				index++
				s.fsm.Apply(logOf(b, index, cs...))
				must(b, s.fsm.failure())
				return took
			}
			for range n / 10 / page {
				next()
			}
			b.ResetTimer()
			var reads time.Duration
			for range b.N {
				reads += next()
			}
			b.ReportMetric(float64(reads.Nanoseconds())/float64(b.N)/page, "ns/run")
			b.ReportMetric(mib, "heap-MiB")
		})
	}
}
