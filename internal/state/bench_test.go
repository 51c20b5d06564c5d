package state

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// An entry of the outcomes of a thousand tasks has about 20 kB.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("bytes=20000/writers=%d", writers), func(b *testing.B) { benchAppend(b, writers, 20_000) })
	}
	b.Run("bytes=100/writers=1", func(b *testing.B) { benchAppend(b, 1, 100) })
	b.Run("bytes=1000000/writers=4", func(b *testing.B) { benchAppend(b, 4, 1_000_000) })
}

func benchAppend(b *testing.B, writers, size int) {
	benchWriters(b, open(b, b.TempDir()), writers, size)
}

func benchWriters(b *testing.B, s *State, writers, size int) {
	entry := make([]byte, size)
	for i := range entry {
		entry[i] = byte(i * i)
	}
	name := func(w int) job.RunID { return job.RunID(fmt.Sprintf("d/%d@%d", b.N*100+writers, w)) }
	for w := range writers {
		created(b, s, string(name(w)))
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			id := name(w)
			for i := range b.N / writers {
				if err := s.Append(b.Context(), id, 1, uint64(i), [][]byte{entry}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	for w := range writers {
		n := 0
		for _, err := range s.Journal(name(w), 0) {
			must(b, err)
			n++
		}
		if n != b.N/writers {
			b.Fatalf("run %d has %d entries, want %d", w, n, b.N/writers)
		}
	}
}

// Three servers over loopback, each with its own log on the same disk.
func BenchmarkAppendOfThree(b *testing.B) {
	c := newServers(b)
	c.network = func(string) transport.Network { return transport.TCP() }
	c.found("a", "b", "c")
	s := c.leader()
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("bytes=20000/writers=%d", writers), func(b *testing.B) { benchWriters(b, s.State, writers, 20_000) })
	}
}

// Many jobs are due at one instant, and each makes a run. The time is that
// until all are recorded on the disk of one voter.
func BenchmarkFire(b *testing.B) {
	for _, writers := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) { benchFire(b, writers) })
	}
}

func benchFire(b *testing.B, writers int) {
	s := open(b, b.TempDir())
	jobs := declareMany(b, s)
	b.ReportAllocs()
	b.ResetTimer()
	each(writers, b.N, func(i int) {
		if _, err := s.Fire(b.Context(), firing(jobs[i], due(2), 1)); err != nil {
			b.Error(err)
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "fires/s")
	for _, d := range jobs {
		if run, err := s.Run(job.FireID("d", d.Spec.Name, due(1))); err != nil || run.State != job.Pending {
			b.Fatalf("job %s: got %v, %v", d.Spec.Name, run.State, err)
		}
	}
}

// BenchmarkFiresTogether has runs recorded that begin at once, and their ends, in
// groups as a leader does.
func BenchmarkFiresTogether(b *testing.B) {
	const group = 512
	s := open(b, b.TempDir())
	jobs := declareMany(b, s)
	b.ReportAllocs()
	b.ResetTimer()
	for some := range slices.Chunk(jobs, group) {
		fires, ends := make([]Firing, len(some)), make([]Ending, len(some))
		for i := range some {
			fires[i] = firing(some[i], due(2), 1)
			fires[i].Runs[0].Run.Master = "m"
			ends[i] = Ending{Run: fires[i].Runs[0].Run.ID, Epoch: 1, State: job.Succeeded, Last: []byte("done"), Plain: true}
		}
		_, errs := s.FireAll(b.Context(), fires)
		if err := errors.Join(append(errs, s.FinishAll(b.Context(), ends)...)...); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	for _, d := range jobs {
		if run, err := s.Run(job.FireID("d", d.Spec.Name, due(1))); err != nil || run.State != job.Succeeded {
			b.Fatalf("job %s: got %v, %v", d.Spec.Name, run.State, err)
		}
	}
}

// BenchmarkFiresAhead has fires recorded ahead of their instant, and shows what each
// takes when it comes.
func BenchmarkFiresAhead(b *testing.B) {
	s := open(b, b.TempDir())
	for some := range slices.Chunk(declareMany(b, s), 512) {
		fires := make([]Firing, len(some))
		for i := range some {
			fires[i] = firing(some[i], due(2), 1)
			fires[i].Ahead, fires[i].Runs[0].Run.Master = due(1), "m"
		}
		_, errs := s.FireAll(b.Context(), fires)
		if err := errors.Join(errs...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	begun, err := s.BeginAhead(b.Context(), due(1))
	b.StopTimer()
	if err != nil || len(begun) != b.N {
		b.Fatalf("%d runs have begun, %v, want %d", len(begun), err, b.N)
	}
}

func declareMany(b *testing.B, s *State) []job.Declared {
	jobs := make([]job.Declared, b.N)
	each(512, b.N, func(i int) {
		d, err := s.PutJob(b.Context(), job.Spec{
			Namespace: "d", Name: fmt.Sprintf("j%07d", i), Processor: "p", Schedule: trigger.Schedule{When: "0 * * * *"},
		}, nil, due(1), 0)
		if err != nil {
			b.Error(err)
		}
		jobs[i] = d
	})
	return jobs
}

// each calls do for every number below n, so many at a time.
func each(writers, n int, do func(i int)) {
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < n; i += writers {
				do(i)
			}
		})
	}
	wg.Wait()
}
