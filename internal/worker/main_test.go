package worker

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/panjf2000/ants/v2"
	"go.uber.org/goleak"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

func TestMain(m *testing.M) {
	ants.Release() // the pool that the library makes when it is imported
	goleak.VerifyTestMain(m)
}

// fakeHost keeps what it is given.
type fakeHost struct {
	emit    func(ctx context.Context, seq int, tasks []job.Subtask) error // may be nil
	report  func(run job.RunID, epoch uint64, outcomes []job.Outcome)     // may be nil
	results []mapreduce.Result
	broken  error // that ends the results

	forgetful bool // do not keep outcomes

	mu       sync.Mutex
	news     *sync.Cond
	outcomes map[job.RunID][]job.Outcome
	epochs   map[job.RunID][]uint64
	emitted  map[job.AttemptID][][]job.Subtask
	output   map[job.AttemptID][][]byte
	pairs    map[job.AttemptID]int
}

func newHost() *fakeHost {
	h := &fakeHost{
		outcomes: map[job.RunID][]job.Outcome{},
		epochs:   map[job.RunID][]uint64{},
		emitted:  map[job.AttemptID][][]job.Subtask{},
		output:   map[job.AttemptID][][]byte{},
		pairs:    map[job.AttemptID]int{},
	}
	h.news = sync.NewCond(&h.mu)
	return h
}

func (h *fakeHost) Report(r *Report) {
	go func() {
		defer r.Done()
		outcomes := r.Outcomes()
		if h.report != nil {
			h.report(r.Run, r.Epoch, outcomes)
		}
		if h.forgetful {
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.outcomes[r.Run] = append(h.outcomes[r.Run], outcomes...)
		for range outcomes {
			h.epochs[r.Run] = append(h.epochs[r.Run], r.Epoch)
		}
		h.news.Broadcast()
	}()
}

func (h *fakeHost) Emit(ctx context.Context, a job.AttemptID, seq int, tasks []job.Subtask) error {
	if h.emit != nil {
		if err := h.emit(ctx, seq, tasks); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if seq != len(h.emitted[a]) {
		return fmt.Errorf("got chunk %d, want %d", seq, len(h.emitted[a]))
	}
	h.emitted[a] = append(h.emitted[a], tasks)
	return nil
}

func (h *fakeHost) Output(_ context.Context, a job.AttemptID, seq int, pairs []byte, n int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if seq != len(h.output[a]) {
		return fmt.Errorf("got chunk %d, want %d", seq, len(h.output[a]))
	}
	h.output[a] = append(h.output[a], pairs)
	h.pairs[a] += n
	return nil
}

func (h *fakeHost) Results(context.Context, job.RunID) iter.Seq2[mapreduce.Result, error] {
	return func(yield func(mapreduce.Result, error) bool) {
		for _, r := range h.results {
			if !yield(r, nil) {
				return
			}
		}
		if h.broken != nil {
			yield(mapreduce.Result{}, h.broken)
		}
	}
}

// await returns the outcomes of the run once there are n of them.
func (h *fakeHost) await(run job.RunID, n int) []job.Outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.outcomes[run]) < n {
		h.news.Wait()
	}
	return h.outcomes[run]
}

// start returns a worker that the test stops, with processors by name.
func start(t testing.TB, cfg Config, p pairs) (*Worker, *fakeHost) {
	t.Helper()
	h, ok := cfg.Host.(*fakeHost)
	if !ok {
		h = newHost()
		cfg.Host = h
	}
	if cfg.Node == "" {
		cfg.Node = "n1"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	w, err := newWorker(cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		if s := w.Stats(); s.Running+s.Queued+s.Abandoned > 0 || w.runners+w.errands+w.busy != 0 {
			t.Errorf("a stopped worker has %+v, %d runners, %d errands, %d busy runs", s, w.runners, w.errands, w.busy)
		}
	})
	return w, h
}

func newTestRun(id job.RunID, processor string) *job.Run {
	return &job.Run{ID: id, Epoch: 1, Spec: job.Spec{Processor: processor}, Fire: time.Unix(1e9, 0)}
}

// tasks returns n tasks of a kind, numbered from first.
func tasks(kind job.Kind, first, n int) []job.Task {
	all := make([]job.Task, n)
	for i := range all {
		all[i] = job.Task{ID: job.TaskID{Kind: kind, N: first + i}, Attempt: 1}
	}
	return all
}

func mapTasks(first, n int) []job.Task { return tasks(job.KindMap, first, n) }

// take hands over tasks that the worker must not refuse.
func take(t testing.TB, w *Worker, r *job.Run, tasks []job.Task) {
	t.Helper()
	for _, o := range w.Take(job.Batch{Run: r, Tasks: tasks}) {
		t.Fatalf("%v was refused: %s", o.Task, o.Failure.Reason)
	}
}

// one executes a single task and returns its outcome.
func one(t testing.TB, w *Worker, h *fakeHost, r *job.Run, task job.Task) job.Outcome {
	t.Helper()
	take(t, w, r, []job.Task{task})
	return h.await(r.ID, 1)[0]
}

func noop(context.Context, *mapreduce.Task) (any, error) { return nil, nil }

// processors names one processor "p".
func processors(f mapreduce.ProcessorFunc) mapreduce.Registry {
	return mapreduce.Registry{"p": f}
}
