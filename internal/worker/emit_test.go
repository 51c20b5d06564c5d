package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

func TestSubtasksAreHandedOnInOrderBeforeTheOutcome(t *testing.T) {
	const n = 2*chunkTasks + 7
	h := newHost()
	h.report = func(job.RunID, uint64, []job.Outcome) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.emitted) == 0 {
			t.Error("the outcome came before the subtasks")
		}
	}
	w, _ := start(t, Config{Host: h, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		for i := range n {
			if err := task.Runtime.Emit("level", fmt.Append(nil, i)); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})}, nil)
	r := newTestRun("r", "p")
	if o := one(t, w, h, r, mapTasks(4, 1)[0]); o.Failure != nil {
		t.Fatal(o.Failure.Reason)
	}
	chunks := h.emitted[job.AttemptID{Run: "r", Task: job.TaskID{Kind: job.KindMap, N: 4}, Epoch: 1, N: 1}]
	if len(chunks) != 3 {
		t.Fatalf("got %d chunks, want 3", len(chunks))
	}
	i := 0
	for _, c := range chunks {
		for _, s := range c {
			if s.Name != "level" || string(s.Payload) != fmt.Sprint(i) {
				t.Fatalf("got %q with %q as subtask %d", s.Name, s.Payload, i)
			}
			i++
		}
	}
	if i != n {
		t.Errorf("got %d subtasks, want %d", i, n)
	}
}

func TestLargeSubtasksMakeSmallChunks(t *testing.T) {
	w, h := start(t, Config{Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		for range 5 {
			if err := task.Runtime.Emit("", make([]byte, chunkBytes/2)); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})}, nil)
	one(t, w, h, newTestRun("r", "p"), mapTasks(0, 1)[0])
	for _, chunks := range h.emitted {
		if len(chunks) != 3 || len(chunks[0]) != 2 || len(chunks[2]) != 1 {
			t.Errorf("got %d chunks, want two of two and one of one", len(chunks))
		}
	}
}

func TestManyGoroutinesEmit(t *testing.T) {
	const each, goroutines = 1000, 8
	w, h := start(t, Config{Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for i := range each {
					if err := task.Emit("x", i); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		return nil, nil
	})}, nil)
	one(t, w, h, newTestRun("r", "p"), mapTasks(0, 1)[0])
	n := 0
	for _, chunks := range h.emitted {
		for _, c := range chunks {
			n += len(c)
		}
	}
	if n != each*goroutines {
		t.Errorf("got %d subtasks, want %d", n, each*goroutines)
	}
}

func TestEmitRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		process mapreduce.ProcessorFunc
		want    []string
	}{
		{"a large payload", func(_ context.Context, task *mapreduce.Task) (any, error) {
			return nil, task.Runtime.Emit("big", make([]byte, 101))
		}, []string{`emitted by m0 as "big"`, "101 bytes", "may have 100", "smaller tasks"}},
		{"a long name", func(_ context.Context, task *mapreduce.Task) (any, error) {
			return nil, task.Runtime.Emit(strings.Repeat("n", maxName+1), nil)
		}, []string{"emitted by m0", "257 bytes", "may have 256"}},
	} {
		w, h := start(t, Config{MaxPayload: 100, Processors: processors(test.process)}, nil)
		o := one(t, w, h, newTestRun("r", "p"), mapTasks(0, 1)[0])
		if o.Failure == nil || !o.Failure.Permanent {
			t.Fatalf("%s: got %+v, want a permanent failure", test.name, o.Failure)
		}
		for _, want := range test.want {
			if !strings.Contains(o.Failure.Reason, want) {
				t.Errorf("%s: got %q, want %q in it", test.name, o.Failure.Reason, want)
			}
		}
	}
}

func TestAnAttemptWhoseSubtasksDidNotGetThroughFails(t *testing.T) {
	h := newHost()
	h.emit = func(context.Context, int, []job.Subtask) error { return errors.New("disk full") }
	later := make(chan *mapreduce.Task, 2)
	w, _ := start(t, Config{Host: h, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		for range chunkTasks + 1 {
			_ = task.Emit("x", 1) // who looks at errors?
		}
		later <- task
		return "fine", nil
	})}, nil)
	r := newTestRun("r", "p")
	if o := one(t, w, h, r, mapTasks(0, 1)[0]); o.Failure == nil || !strings.Contains(o.Failure.Reason, "disk full") {
		t.Errorf("got %+v, want it to fail with the host's error", o)
	}
	if err := (<-later).Emit("x", 1); !errors.Is(err, errReturned) && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from an Emit that came after the end", err)
	}
}

func TestEmitEndsWithTheAttempt(t *testing.T) {
	h := newHost()
	blocked := make(chan struct{})
	h.emit = func(ctx context.Context, _ int, _ []job.Subtask) error {
		close(blocked)
		<-ctx.Done()
		return context.Cause(ctx)
	}
	w, _ := start(t, Config{Host: h, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		for {
			if err := task.Emit("x", 1); err != nil {
				return nil, err
			}
		}
	})}, nil)
	take(t, w, newTestRun("r", "p"), mapTasks(0, 1))
	<-blocked
	w.Cancel("r", 1, nil, nil)
	if o := h.await("r", 1)[0]; o.Failure == nil || o.Failure.Reason != mapreduce.ErrCanceled.Error() {
		t.Errorf("got %+v", o)
	}
}
