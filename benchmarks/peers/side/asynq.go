package side

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/musterhq/muster/benchmarks/peers/server"
)

var asynqTasks = []Side{
	asynqSide(Tasks, "asynq-everysec", "asynq, Redis syncs every second", "everysec", asynqBulk),
	asynqSide(Tasks, "asynq-always", "asynq, Redis syncs always", "always", asynqBulk),
	asynqSide(Latency, "asynq", "asynq, looks every millisecond", "everysec", asynqLatency(time.Millisecond)),
	asynqSide(Latency, "asynq-defaults", "asynq, as it is by default", "everysec", asynqLatency(0)),
}

// asynqCallers is how many submit at a time, and asynqWorkers how many tasks
// are executed at a time: about what it is fastest with.
const (
	asynqCallers = 64
	asynqWorkers = 64
)

func asynqSide(kind, name, label, appendfsync string, do func(ctx context.Context, w Work, redis *server.Server) (Measure, error)) Side {
	about := fmt.Sprintf("%d callers that enqueue, %d workers, outcomes kept for an hour; done when all are recorded as completed", asynqCallers, asynqWorkers)
	if kind == Latency {
		about = "from Enqueue to the call of the handler: that the task is done can't be waited for"
	}
	return Side{
		Kind: kind, Name: name, Label: label, About: about,
		Missing: func() error { _, err := server.FindRedis(); return err },
		Needs:   "Redis",
		Version: func() string { return output("redis-server", "--version") },
		Do: func(ctx context.Context, w Work) (m Measure, err error) {
			dir := filepath.Join(w.Dir, "redis")
			if err := os.Mkdir(dir, 0o755); err != nil {
				return m, err
			}
			r, err := server.Redis(ctx, dir, appendfsync)
			if err != nil {
				return m, err
			}
			defer func() { err = errors.Join(err, r.Stop()) }()
			return do(ctx, w, r)
		},
	}
}

// asynqServer starts what executes the tasks that are named "task".
func asynqServer(to asynq.RedisConnOpt, look time.Duration, handle func(payload []byte) error) (stop func(), err error) {
	s := asynq.NewServer(to, asynq.Config{Concurrency: asynqWorkers, TaskCheckInterval: look, LogLevel: asynq.ErrorLevel})
	mux := asynq.NewServeMux()
	mux.HandleFunc("task", func(_ context.Context, t *asynq.Task) error { return handle(t.Payload()) })
	if err := s.Start(mux); err != nil {
		return nil, err
	}
	return s.Shutdown, nil
}

func asynqBulk(ctx context.Context, w Work, r *server.Server) (m Measure, err error) {
	to := asynq.RedisClientOpt{Addr: r.Addr, PoolSize: asynqCallers + asynqWorkers}
	l := newLedger(w.Tasks, w.Payload)
	stop, err := asynqServer(to, time.Millisecond, func(payload []byte) error { _, err := l.tick(string(payload)); return err })
	if err != nil {
		return m, err
	}
	defer stop()
	client := asynq.NewClient(to)
	defer client.Close()
	direct := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer direct.Close()
	m, err = timed(func() error {
		err := spread(ctx, w.Tasks, asynqCallers, func(ctx context.Context, i int) error {
			_, err := client.EnqueueContext(ctx, asynq.NewTask("task", l.payload(nil, i)), asynq.Retention(time.Hour), asynq.MaxRetry(0))
			return err
		})
		if err != nil {
			return err
		}
		return asynqCompleted(ctx, direct, l)
	}, r)
	if err != nil {
		return m, err
	}
	return m, l.check()
}

// asynqCompleted returns when all tasks are recorded as completed.
func asynqCompleted(ctx context.Context, direct *redis.Client, l *ledger) error {
	select {
	case <-l.over:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", context.Cause(ctx), l.check())
	}
	for {
		n, err := direct.ZCard(ctx, "asynq:{default}:completed").Result()
		if err != nil || int(n) == len(l.done) {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: %d tasks are recorded as completed, of %d", context.Cause(ctx), n, len(l.done))
		}
	}
}

func asynqLatency(look time.Duration) func(ctx context.Context, w Work, r *server.Server) (Measure, error) {
	return func(ctx context.Context, w Work, r *server.Server) (m Measure, err error) {
		to := asynq.RedisClientOpt{Addr: r.Addr}
		n := w.Tasks
		if look == 0 {
			n = min(n, 5) // each takes up to a second
		}
		l, called := newLedger(warmups+n, 0), make(chan struct{}, 1)
		stop, err := asynqServer(to, look, func(payload []byte) error {
			_, err := l.tick(string(payload))
			called <- struct{}{}
			return err
		})
		if err != nil {
			return m, err
		}
		defer stop()
		client := asynq.NewClient(to)
		defer client.Close()
		var latencies []float64
		m, err = timed(func() error {
			latencies, err = oneByOne(ctx, n, func(ctx context.Context, i int) error {
				if _, err := client.EnqueueContext(ctx, asynq.NewTask("task", l.payload(nil, i)), asynq.Retention(time.Hour)); err != nil {
					return err
				}
				select {
				case <-called:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})
			return err
		}, r)
		m.Latencies = latencies
		if err != nil {
			return m, err
		}
		return m, l.check()
	}
}
