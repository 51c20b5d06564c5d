package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// fakeMaster places the tasks of one run as the window allows.
type fakeMaster struct {
	run *job.Run
	n   int

	mu          sync.Mutex
	placed      int
	outstanding int
	seen        []byte
	over        int // how far more was outstanding than the window that was told
	done        chan struct{}
}

func (m *fakeMaster) reported(t *testing.T, outcomes []job.Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range outcomes {
		if o.Failure != nil {
			t.Errorf("%s/%v failed: %s", m.run.ID, o.Task, o.Failure.Reason)
		}
		m.seen[o.Task.N]++
		m.outstanding--
	}
}

// place fills the window. Only what was reported makes room in it.
func (m *fakeMaster) place(t *testing.T, w *Worker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(w.Window(m.run.ID)-m.outstanding, m.n-m.placed)
	if n > 0 {
		if refused := w.Take(job.Batch{Run: m.run, Tasks: mapTasks(m.placed, n)}); len(refused) > 0 {
			t.Errorf("%d tasks were refused: %s", len(refused), refused[0].Failure.Reason)
		}
		m.placed += n
		m.outstanding += n
	}
	if m.placed == m.n && m.outstanding == 0 {
		close(m.done)
	}
}

func TestEveryTaskOfManyRunsIsReportedExactlyOnce(t *testing.T) {
	const runs, each = 5, 20000
	masters := map[job.RunID]*fakeMaster{}
	var w *Worker
	h := newHost()
	h.report = func(run job.RunID, _ uint64, outcomes []job.Outcome) {
		masters[run].reported(t, outcomes)
		masters[run].place(t, w)
	}
	for i := range runs {
		r := newTestRun(job.RunID(fmt.Sprintf("default/stress@%d", i)), "p")
		r.Spec.Concurrency = i // the first has no bound
		masters[r.ID] = &fakeMaster{run: r, n: each, seen: make([]byte, each), done: make(chan struct{})}
	}
	w, _ = start(t, Config{Slots: 4, Processors: processors(noop), Host: h}, nil)
	for _, m := range masters {
		m.place(t, w)
	}
	for _, m := range masters {
		<-m.done
		for n, times := range m.seen {
			if times != 1 {
				t.Fatalf("%s/m%d was reported %d times", m.run.ID, n, times)
			}
		}
	}
	if s := w.Stats(); s.Done != runs*each || s.Failed != 0 {
		t.Errorf("got %d done and %d failed, want %d and 0", s.Done, s.Failed, runs*each)
	}
}

func TestEveryAttemptIsReportedOnceWhateverItsCodeDoes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const runs, each = 4, 2000
	synctest.Test(t, func(t *testing.T) {
		chance := rand.New(rand.NewPCG(seed, 1))
		w, h := start(t, Config{Slots: 3, Grace: time.Second, Processors: processors(func(ctx context.Context, task *mapreduce.Task) (any, error) {
			switch task.Name {
			case "panic":
				panic("boom")
			case "exit":
				runtime.Goexit()
			case "error":
				return nil, errors.New("no")
			case "wait":
				<-ctx.Done()
			case "stray", "stray and exit":
				time.Sleep(20 * time.Second)
				if task.Name != "stray" {
					runtime.Goexit()
				}
			}
			return task.ID, nil
		})}, nil)
		names := []string{"", "", "", "", "", "", "panic", "exit", "error", "wait", "stray", "stray and exit"}
		for first := 0; first < each; {
			n := min(1+chance.IntN(40), each-first)
			for i := range runs {
				r := newTestRun(job.RunID(fmt.Sprint(i)), "p")
				r.Spec.AttemptTimeout = 10 * time.Millisecond
				r.Spec.Concurrency = i
				batch := mapTasks(first, n)
				for k := range batch {
					if batch[k].Name = names[chance.IntN(len(names))]; chance.IntN(3) > 0 {
						batch[k].Name = ""
					}
				}
				take(t, w, r, batch)
				if chance.IntN(3) == 0 {
					w.Cancel(r.ID, 1, []job.TaskID{batch[chance.IntN(n)].ID, batch[chance.IntN(n)].ID}, nil)
				}
				if chance.IntN(30) == 0 {
					w.Cancel(r.ID, 1, nil, nil)
				}
			}
			first += n
			if chance.IntN(4) == 0 {
				time.Sleep(time.Duration(chance.IntN(100)) * time.Millisecond)
			}
		}
		for i := range runs {
			id := job.RunID(fmt.Sprint(i))
			seen := make([]int, each)
			for _, o := range h.await(id, each) {
				seen[o.Task.N]++
			}
			for n, times := range seen {
				if times != 1 {
					t.Fatalf("%s/m%d was reported %d times", id, n, times)
				}
			}
		}
		time.Sleep(time.Minute) // the strays return
		synctest.Wait()
		if s := w.Stats(); s.Abandoned > 0 || s.Running > 0 || w.pool.Cap() != 3 || s.Panics == 0 {
			t.Errorf("got %+v and a pool of %d when all is over", s, w.pool.Cap())
		}
	})
}

func BenchmarkNoop(b *testing.B) {
	const batch = 1000
	h := newHost()
	var mu sync.Mutex
	reported, sum := 0, 0
	credit := make(chan int, 1<<16)
	h.report = func(_ job.RunID, _ uint64, outcomes []job.Outcome) {
		mu.Lock()
		reported += len(outcomes)
		for i := range outcomes {
			sum += outcomes[i].Task.N
		}
		mu.Unlock()
		credit <- len(outcomes)
	}
	h.forgetful = true
	w, _ := start(b, Config{Processors: processors(noop), Host: h}, nil)
	r := newTestRun("default/bench@1", "p")
	b.ReportAllocs()
	b.ResetTimer()
	placed, back := 0, 0
	for placed < b.N {
		for placed-back > 8*batch {
			back += <-credit
		}
		n := min(batch, b.N-placed)
		take(b, w, r, mapTasks(placed, n))
		placed += n
	}
	for back < placed {
		back += <-credit
	}
	b.StopTimer()
	mu.Lock()
	defer mu.Unlock()
	if want := b.N * (b.N - 1) / 2; reported != b.N || sum != want {
		b.Fatalf("got %d outcomes with sum %d, want %d with %d", reported, sum, b.N, want)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
