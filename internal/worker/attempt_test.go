package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

func TestATaskKnowsWhatItIs(t *testing.T) {
	var log bytes.Buffer
	got := make(chan mapreduce.Task, 1)
	w, h := start(t, Config{
		Node: "n7", Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Processors: processors(func(ctx context.Context, task *mapreduce.Task) (any, error) {
			if found, ok := mapreduce.TaskFrom(ctx); !ok || found != task {
				t.Error("the context does not lead to the task")
			}
			task.Log.Info("one", slog.Int("a", 1))
			task.Log.WithGroup("g").With(slog.Int("b", 2)).Info("two")
			task.Log.With(slog.Int("c", 3)).Info("three")
			task.Progress(1, 2)
			got <- *task
			return "result", nil
		}),
	}, nil)
	r := newTestRun("ns/job@x", "p")
	r.Key, r.Extra, r.Spec.Params = "key", map[string]string{"a": "b"}, "params"
	take(t, w, r, nil)
	w.Take(job.Batch{Run: r, Before: []byte("before"), Tasks: []job.Task{{
		ID: job.TaskID{Kind: job.KindMap, N: 12}, Attempt: 2, Name: "level", Payload: []byte("payload"),
		Parent: job.TaskID{Kind: job.KindMap, N: 3}, Shard: job.Shard{Index: 4, Total: 5},
	}}})
	o := h.await(r.ID, 1)[0]
	task := <-got
	task.Log, task.Runtime = nil, nil
	want := mapreduce.Task{
		Run: "ns/job@x", ID: "m12", Name: "level", Parent: "m3", Attempt: 2, Fire: r.Fire, Key: "key", Extra: r.Extra,
		Params: "params", Shard: mapreduce.Shard{Index: 4, Total: 5}, Node: "n7", Payload: []byte("payload"), Before: []byte("before"),
	}
	if got, want := fmt.Sprintf("%+v", task), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	encoded, _ := mapreduce.Encode("result")
	if o.Failure != nil || !bytes.Equal(o.Result, encoded) || o.Task.N != 12 || o.Attempt != 2 || o.Bytes != 7 || o.Took <= 0 {
		t.Errorf("got %+v", o)
	}
	for _, want := range []string{"msg=one attempt=ns/job@x/m12#2 a=1", "msg=two attempt=ns/job@x/m12#2 g.b=2", "msg=three attempt=ns/job@x/m12#2 c=3"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("got log %s, want %q in it", log.String(), want)
		}
	}
}

type brokenError struct{}

func (brokenError) Error() string { panic("even its text") }

func TestAProcessorCanFailOnlyItsAttempt(t *testing.T) {
	const size = 1 << 10
	for _, test := range []struct {
		name    string
		process mapreduce.ProcessorFunc
		want    []string
		not     string
		check   func(*job.Failure) bool
	}{
		{name: "error", want: []string{"no luck"}, process: func(context.Context, *mapreduce.Task) (any, error) {
			return nil, errors.New("no luck")
		}},
		{
			name: "permanent", want: []string{"never"}, check: func(f *job.Failure) bool { return f.Permanent },
			process: func(context.Context, *mapreduce.Task) (any, error) {
				return nil, fmt.Errorf("wrapped: %w", mapreduce.Permanent(errors.New("never")))
			},
		},
		{
			name: "later", want: []string{"busy"}, check: func(f *job.Failure) bool { return f.After == time.Minute },
			process: func(context.Context, *mapreduce.Task) (any, error) {
				return nil, mapreduce.RetryAfter(errors.New("busy"), time.Minute)
			},
		},
		{
			name: "panic", want: []string{"panic: boom\n", "TestAProcessorCanFailOnlyItsAttempt"}, not: "runner",
			process: func(context.Context, *mapreduce.Task) (any, error) { panic("boom") },
		},
		{
			name: "nil pointer", want: []string{"panic: runtime error: invalid memory address", "TestAProcessorCanFailOnlyItsAttempt"},
			process: func(_ context.Context, task *mapreduce.Task) (any, error) {
				var none *mapreduce.Task
				return none.ID, nil
			},
		},
		{
			name: "goexit", want: []string{"processor called runtime.Goexit", "TestAProcessorCanFailOnlyItsAttempt"},
			process: func(context.Context, *mapreduce.Task) (any, error) { runtime.Goexit(); return nil, nil },
		},
		{
			name: "error that panics", want: []string{"even its text"},
			process: func(context.Context, *mapreduce.Task) (any, error) { return nil, brokenError{} },
		},
		{
			name: "long panic", want: []string{"panic: xxx", "..."}, check: func(f *job.Failure) bool { return len(f.Reason) <= maxReason },
			process: func(context.Context, *mapreduce.Task) (any, error) { panic(strings.Repeat("x", 1<<20)) },
		},
		{name: "no text", want: []string{"\uFFFD"}, process: func(context.Context, *mapreduce.Task) (any, error) {
			return nil, errors.New("\xff")
		}},
		{
			name: "what can't be encoded", want: []string{"result of m0", "chan"}, check: func(f *job.Failure) bool { return f.Permanent },
			process: func(context.Context, *mapreduce.Task) (any, error) { return make(chan int), nil },
		},
		{
			name: "too much", want: []string{"result of m0", "2051 bytes", "may have 1024", "Task.Create"}, check: func(f *job.Failure) bool { return f.Permanent },
			process: func(context.Context, *mapreduce.Task) (any, error) { return make([]byte, 2*size), nil },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, h := start(t, Config{Slots: 1, MaxResult: size, Processors: mapreduce.Registry{"bad": test.process, "good": mapreduce.ProcessorFunc(noop)}}, nil)
			r := newTestRun("r", "bad")
			o := one(t, w, h, r, mapTasks(0, 1)[0])
			if o.Failure == nil {
				t.Fatalf("got %+v, want a failure", o)
			}
			for _, want := range test.want {
				if !strings.Contains(o.Failure.Reason, want) {
					t.Errorf("got %q, want %q in it", o.Failure.Reason, want)
				}
			}
			if test.not != "" && strings.Contains(o.Failure.Reason, test.not) {
				t.Errorf("got %q, want no %q in it", o.Failure.Reason, test.not)
			}
			if o.Failure.Refused || test.check != nil && !test.check(o.Failure) {
				t.Errorf("got %+v", o.Failure)
			}
			good := newTestRun("good", "good")
			take(t, w, good, mapTasks(0, 10))
			h.await("good", 10) // the only slot is in use again
		})
	}
}

func TestPanicsAreCounted(t *testing.T) {
	metrics, err := telemetry.NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	spans := telemetry.NewSpans(nil)
	w, h := start(t, Config{Slots: 2, Metrics: metrics, Spans: &spans, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		switch task.ID {
		case "m0", "m1", "m2":
			panic(task.ID)
		case "m3", "m4":
			runtime.Goexit()
		case "m5":
			return nil, errors.New("no")
		}
		return nil, nil
	})}, nil)
	r := newTestRun("r", "p")
	take(t, w, r, mapTasks(0, 100))
	h.await("r", 100)
	want := Totals{Done: 94, Failed: 6, Panics: 5}
	if s := w.Stats(); s.Totals != want || s.Runs["r"].Totals != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestStatsShowProgress(t *testing.T) {
	began, gate := make(chan struct{}), make(chan struct{})
	w, h := start(t, Config{Slots: 1, Processors: processors(func(_ context.Context, task *mapreduce.Task) (any, error) {
		task.Progress(1, 9)
		task.Progress(4, 9)
		close(began)
		<-gate
		return nil, nil
	})}, nil)
	take(t, w, newTestRun("r", "p"), mapTasks(5, 1))
	<-began
	s := w.Stats().Runs["r"]
	if len(s.Running) != 1 || s.Running[0].Progress != 4 || s.Running[0].Total != 9 || s.Running[0].Task.String() != "m5" {
		t.Errorf("got %+v, want m5 at 4 of 9", s)
	}
	close(gate)
	h.await("r", 1)
}

func TestNewRefusesWhatCanNotWork(t *testing.T) {
	for _, test := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "Host"},
		{Config{Host: newHost(), Slots: -1}, "Slots is -1"},
		{Config{Host: newHost(), MaxPayload: -1}, "MaxPayload"},
		{Config{Host: newHost(), MaxResult: -1}, "MaxResult"},
		{Config{Host: newHost(), Grace: -1}, "Grace"},
		{Config{Host: newHost(), Processors: mapreduce.Registry{"x": nil}}, `"x"`},
	} {
		if _, err := New(test.cfg); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q in it", err, test.want)
		}
	}
}
