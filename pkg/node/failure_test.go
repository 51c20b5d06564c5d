package node_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// breaks is word count that breaks where it is told to.
type breaks struct{ inMap, inReduce func() }

func (b breaks) Map(_ context.Context, s string, emit func(string, int)) error {
	if b.inMap != nil {
		b.inMap()
	}
	emit(s, 1)
	return nil
}

func (b breaks) Reduce(context.Context, string, iter.Seq[int]) (int, error) {
	if b.inReduce != nil {
		b.inReduce()
	}
	return 1, nil
}

// steps is a processor that breaks in the step before or after its tasks.
type steps struct{ before, fold func() }

func (s steps) Before(context.Context, *mapreduce.Task) (any, error) {
	if s.before != nil {
		s.before()
	}
	return nil, nil
}

func (steps) Process(context.Context, *mapreduce.Task) (any, error) { return nil, nil }

func (s steps) Reduce(context.Context, *mapreduce.Task, iter.Seq[mapreduce.Result]) (any, error) {
	if s.fold != nil {
		s.fold()
	}
	return nil, nil
}

// TestProcessorsThatBreakFailOnlyTheirRun panics and ends its goroutine in
// every place where the user's code is called.
func TestProcessorsThatBreakFailOnlyTheirRun(t *testing.T) {
	burst := func() { panic(fmt.Sprint("burst ", 42)) }
	n := one(t, mapreduce.Registry{
		"echo":          echo,
		"panic":         mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { burst(); return nil, nil }),
		"goexit":        mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { runtime.Goexit(); return nil, nil }),
		"nil":           mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { var p *int; return *p, nil }),
		"map":           mapreduce.Of(breaks{inMap: burst}),
		"reduce":        mapreduce.Of(breaks{inReduce: burst}),
		"map-goexit":    mapreduce.Of(breaks{inMap: runtime.Goexit}),
		"reduce-goexit": mapreduce.Of(breaks{inReduce: runtime.Goexit}),
		"fold":          steps{fold: burst}, "before": steps{before: burst},
	})
	for _, c := range []struct {
		processor string
		mode      job.Mode
		texts     []string
	}{
		{"panic", job.Standalone, []string{"m0", "panic: burst 42"}},
		{"goexit", job.Standalone, []string{"m0", "runtime.Goexit", "return an error"}},
		{"nil", job.Standalone, []string{"m0", "panic: ", "nil pointer"}},
		{"map", job.MapReduce, []string{"m0", "panic: ", "burst 42"}},
		{"reduce", job.MapReduce, []string{"r0", "panic: ", "burst 42"}},
		{"map-goexit", job.MapReduce, []string{"m0", "runtime.Goexit"}},
		{"reduce-goexit", job.MapReduce, []string{"r0", "runtime.Goexit"}},
		{"fold", job.Standalone, []string{"r0", "panic: burst 42"}},
		{"before", job.Broadcast, []string{"b0", "panic: burst 42"}},
	} {
		t.Run(c.processor, func(t *testing.T) {
			spec := job.Spec{Processor: c.processor, Mode: c.mode, Retry: job.Retry{Attempts: 2, Backoff: atOnce}}
			if c.mode == job.MapReduce {
				spec.Input, spec.Partitions = job.Values("a"), 1
			}
			fails(t, submit(t, n, spec), job.Failed, c.texts...)
		})
	}
	stillWorks(t, n)
}

// hears is a log that a test can wait for.
type hears chan string

func (hears) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h hears) WithAttrs([]slog.Attr) slog.Handler         { return h }
func (h hears) WithGroup(string) slog.Handler              { return h }
func (h hears) Handle(_ context.Context, r slog.Record) error {
	select {
	case h <- r.Message:
	default: // nobody listens any more
	}
	return nil
}

// wait waits until for each of texts a line has been logged that begins with
// it, in any order.
func (h hears) wait(t *testing.T, texts ...string) {
	t.Helper()
	for len(texts) > 0 {
		select {
		case line := <-h:
			if i := slices.IndexFunc(texts, func(text string) bool { return strings.HasPrefix(line, text) }); i >= 0 {
				texts = slices.Delete(texts, i, i+1)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("the log does not say %q", texts)
		}
	}
}

// TestAnAttemptThatOverrunsIsCancelledAndTriedAgain has one that heeds its
// context and one that does not, which is abandoned and leaves its slot.
func TestAnAttemptThatOverrunsIsCancelledAndTriedAgain(t *testing.T) {
	release, causes, log := make(chan struct{}), make(chan error, 4), make(hears, 1000)
	n := start(t, node.Config{Slots: 2, Logger: slog.New(log), Grace: 50 * time.Millisecond, Processors: mapreduce.Registry{
		"echo": echo,
		"slow": mapreduce.ProcessorFunc(func(ctx context.Context, t *mapreduce.Task) (any, error) {
			if t.Attempt > 1 {
				return t.Attempt, nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return nil, ctx.Err()
		}),
		"deaf": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			if t.Attempt > 1 {
				return t.Attempt, nil
			}
			<-release
			return nil, nil
		}),
	}})
	spec := job.Spec{Processor: "slow", AttemptTimeout: 20 * time.Millisecond, Retry: job.Retry{Backoff: atOnce}}
	if got, err := mapreduce.Value[int](t.Context(), do(t, n, spec)); err != nil || got != 2 {
		t.Errorf("got %d, %v, want the second attempt to succeed", got, err)
	}
	if err := <-causes; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the cause was %v, want that the deadline was exceeded", err)
	} else {
		says(t, err, "timeout of 20ms", "raise AttemptTimeout")
	}
	spec.Processor = "deaf"
	if got, err := mapreduce.Value[int](t.Context(), do(t, n, spec)); err != nil || got != 2 {
		t.Errorf("got %d, %v, want the second attempt to succeed", got, err)
	}
	spec.Retry.Attempts = 1
	fails(t, submit(t, n, spec), job.Failed, "m0", "timeout of 20ms", "did not return within 50ms and was abandoned")
	stillWorks(t, n) // in the two slots that abandoned attempts have left
	log.wait(t, "attempt abandoned", "attempt abandoned")
	close(release)
	log.wait(t, "abandoned attempt has returned", "abandoned attempt has returned")
}

// TestRetryHeedsWhatTheErrorSays counts attempts.
func TestRetryHeedsWhatTheErrorSays(t *testing.T) {
	var tries atomic.Int64
	var last atomic.Int64 // when the last attempt was, in nanoseconds
	n := one(t, mapreduce.Registry{
		"fails": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
			return nil, fmt.Errorf("not today, for the %d. time", tries.Add(1))
		}),
		"permanent": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
			tries.Add(1)
			return nil, fmt.Errorf("wrapped: %w", mapreduce.Permanent(errors.New("never")))
		}),
		"later": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			tries.Add(1)
			if before := last.Swap(time.Now().UnixNano()); t.Attempt > 1 {
				return time.Now().UnixNano() - before, nil
			}
			return nil, mapreduce.RetryAfter(errors.New("busy"), 60*time.Millisecond)
		}),
	})
	for _, c := range []struct {
		processor string
		attempts  int
		tries     int64
		text      string
	}{
		{"fails", 3, 3, "not today, for the 3. time"},
		{"fails", 0, 4, "not today, for the 4. time"},
		{"fails", 1, 1, "not today, for the 1. time"},
		{"permanent", 10, 1, "wrapped: never"},
	} {
		tries.Store(0)
		r := submit(t, n, job.Spec{Processor: c.processor, Retry: job.Retry{Attempts: c.attempts, Backoff: atOnce}})
		fails(t, r, job.Failed, "m0: "+c.text)
		if got := tries.Load(); got != c.tries || progress(t, r).Attempts != int(c.tries) {
			t.Errorf("%s with Attempts %d: tried %d times and shown as %d, want %d", c.processor, c.attempts, got, progress(t, r).Attempts, c.tries)
		}
	}
	// What an error asks for comes before the job's back-off, which is an hour.
	slow := atOnce
	slow.Initial, slow.Max = time.Hour, time.Hour
	waited, err := mapreduce.Value[int64](t.Context(), do(t, n, job.Spec{Processor: "later", Retry: job.Retry{Backoff: slow}}))
	if err != nil || time.Duration(waited) < 60*time.Millisecond {
		t.Errorf("the second attempt came after %v, %v, want 60ms at least", time.Duration(waited), err)
	}
}

// TestARunToleratesAsManyFailuresAsItsJobSays sees the results of the others,
// and in its Reduce why the rest failed.
func TestARunToleratesAsManyFailuresAsItsJobSays(t *testing.T) {
	n := one(t, mapreduce.Registry{"odd": failsOdd{}, "sum": sumOdd{}})
	in := job.Values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	retry := job.Retry{Attempts: 1}
	for _, c := range []struct {
		tolerate job.Tolerance
		fails    string
	}{
		{job.Tolerance{Count: 5}, ""},
		{job.Tolerance{Share: 0.5}, ""},
		{job.Tolerance{Count: 1, Share: 0.5}, ""},
		{job.Tolerance{Count: 4}, "is odd"},
		{job.Tolerance{Share: 0.4}, "5 of 10 tasks failed, and the job tolerates 4"},
		{job.Tolerance{}, "is odd"},
	} {
		r := submit(t, n, job.Spec{Processor: "odd", Input: in, Retry: retry, Tolerate: c.tolerate})
		if c.fails != "" {
			fails(t, r, job.Failed, c.fails)
			continue
		}
		out, err := r.Wait(t.Context())
		if err != nil {
			t.Errorf("%+v: %v", c.tolerate, err)
			continue
		}
		var got []int
		var failed []string
		for v, err := range mapreduce.Values[int](t.Context(), out) {
			var task *mapreduce.TaskError
			switch {
			case err == nil:
				got = append(got, v)
			case errors.As(err, &task):
				failed = append(failed, fmt.Sprint(task.Task, " ", task.Reason))
			default:
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, []int{0, 2, 4, 6, 8}) || len(failed) != 5 || failed[0] != "1 1 is odd" {
			t.Errorf("%+v: got %d and failures %q", c.tolerate, got, failed)
		}
		if p := progress(t, r); p.Done != 5 || p.Failed != 5 || p.Tasks != 10 {
			t.Errorf("%+v: got progress %+v, want 5 done and 5 failed of 10", c.tolerate, p)
		}
	}
	out := do(t, n, job.Spec{Processor: "sum", Input: in, Retry: retry, Tolerate: job.Tolerance{Count: 9}})
	if got, err := mapreduce.Value[string](t.Context(), out); err != nil || got != "20, and 5 failed: 1 is odd" {
		t.Errorf("got %q, %v", got, err)
	}
}

// failsOdd fails for odd numbers.
type failsOdd struct{}

func (failsOdd) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	var n int
	if err := t.Decode(&n); err != nil {
		return nil, err
	}
	if n%2 == 1 {
		return nil, fmt.Errorf("%d is odd", n)
	}
	return n, nil
}

// sumOdd adds up what did not fail.
type sumOdd struct{ failsOdd }

func (sumOdd) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	sum := 0
	var failed []string
	for r := range results {
		var n int
		if r.Err != "" {
			failed = append(failed, r.Err)
			continue
		}
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		sum += n
	}
	slices.Sort(failed)
	return fmt.Sprintf("%d, and %d failed: %s", sum, len(failed), strings.Join(failed[:1], "")), nil
}
