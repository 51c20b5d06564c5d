package side

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/musterhq/muster/benchmarks/peers/server"
)

var riverTasks = []Side{
	riverSide(Tasks, "river", "River on PostgreSQL",
		fmt.Sprintf("InsertManyFast of %d at a time, up to %d jobs at a time, FetchCooldown %v; done when it has told that all are completed", riverBatch, riverWorkers, riverCooldown), riverBulk),
	riverSide(Latency, "river", "River, FetchCooldown 1 ms", "from Insert to the call of the worker", riverLatency(riverCooldown, false)),
	riverSide(Latency, "river-completed", "River, to the event of completion", "FetchCooldown 1 ms, from Insert to the event that the job is completed", riverLatency(riverCooldown, true)),
	riverSide(Latency, "river-defaults", "River, as it is by default", "from Insert to the call of the worker", riverLatency(0, false)),
}

// About what it is fastest with.
const (
	riverBatch    = 2000
	riverWorkers  = 2000
	riverCooldown = time.Millisecond // the least that it takes
	riverConns    = 20
)

func riverSide(kind, name, label, about string, do func(ctx context.Context, w Work, db *pgxpool.Pool, s *server.Server) (Measure, error)) Side {
	return Side{
		Kind: kind, Name: name, Label: label, About: about,
		Missing: func() error { _, err := server.FindPostgres(); return err },
		Needs:   "PostgreSQL",
		Version: func() string {
			bin, err := server.FindPostgres()
			if err != nil {
				return err.Error()
			}
			return output(filepath.Join(bin, "postgres"), "--version")
		},
		Do: func(ctx context.Context, w Work) (m Measure, err error) {
			dir := filepath.Join(w.Dir, "postgres")
			if err := os.Mkdir(dir, 0o755); err != nil {
				return m, err
			}
			s, err := server.Postgres(ctx, dir)
			if err != nil {
				return m, err
			}
			defer func() { err = errors.Join(err, s.Stop()) }()
			db, err := riverDatabase(ctx, s)
			if err != nil {
				return m, err
			}
			defer db.Close()
			return do(ctx, w, db, s)
		},
	}
}

// riverDatabase connects to a database and makes River's tables in it.
func riverDatabase(ctx context.Context, s *server.Server) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(server.URL(s.Addr))
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = riverConns
	db, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(db), &rivermigrate.Config{Logger: riverLog})
	if err == nil {
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

var riverLog = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))

type riverArgs struct {
	Payload string `json:"p"`
}

// Kind is the name of the job.
func (riverArgs) Kind() string { return "task" }

type riverWorker struct {
	river.WorkerDefaults[riverArgs]
	*ledger
	called chan<- struct{} // told of each call, if there is one
}

// Work executes a job.
func (r riverWorker) Work(_ context.Context, j *river.Job[riverArgs]) error {
	_, err := r.tick(j.Args.Payload)
	if r.called != nil {
		r.called <- struct{}{}
	}
	return err
}

// riverClient starts what executes jobs, and returns what tells when each is
// completed.
func riverClient(ctx context.Context, db *pgxpool.Pool, w riverWorker, cooldown time.Duration) (c *river.Client[pgx.Tx], completed <-chan *river.Event, stop func() error, err error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	c, err = river.NewClient(riverpgxv5.New(db), &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers}},
		Workers: workers, Logger: riverLog, FetchCooldown: cooldown, MaxAttempts: 1,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	completed, cancel := c.SubscribeConfig(&river.SubscribeConfig{ChanSize: len(w.done) + 1, Kinds: []river.EventKind{river.EventKindJobCompleted, river.EventKindJobFailed}})
	if err := c.Start(ctx); err != nil {
		cancel()
		return nil, nil, nil, err
	}
	return c, completed, func() error {
		defer cancel()
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer done()
		return c.Stop(ctx)
	}, nil
}

func riverBulk(ctx context.Context, w Work, db *pgxpool.Pool, s *server.Server) (m Measure, err error) {
	l := newLedger(w.Tasks, w.Payload)
	c, completed, stop, err := riverClient(ctx, db, riverWorker{ledger: l}, riverCooldown)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	m, err = timed(func() error {
		for from := 0; from < w.Tasks; from += riverBatch {
			batch := make([]river.InsertManyParams, 0, riverBatch)
			for i := from; i < min(from+riverBatch, w.Tasks); i++ {
				batch = append(batch, river.InsertManyParams{Args: riverArgs{string(l.payload(nil, i))}})
			}
			if _, err := c.InsertManyFast(ctx, batch); err != nil {
				return err
			}
		}
		return riverCompleted(ctx, completed, w.Tasks)
	}, s)
	if err != nil {
		return m, err
	}
	var recorded int
	if err := db.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE state = 'completed'").Scan(&recorded); err != nil {
		return m, err
	}
	if recorded != w.Tasks {
		return m, fmt.Errorf("%d jobs are recorded as completed: want %d", recorded, w.Tasks)
	}
	return m, l.check()
}

// riverCompleted returns when n jobs are completed.
func riverCompleted(ctx context.Context, completed <-chan *river.Event, n int) error {
	for range n {
		select {
		case e := <-completed:
			if e.Kind != river.EventKindJobCompleted {
				return fmt.Errorf("job %d: %s: %v", e.Job.ID, e.Kind, e.Job.Errors)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func riverLatency(cooldown time.Duration, toCompletion bool) func(ctx context.Context, w Work, db *pgxpool.Pool, s *server.Server) (Measure, error) {
	return func(ctx context.Context, w Work, db *pgxpool.Pool, s *server.Server) (m Measure, err error) {
		l, called := newLedger(warmups+w.Tasks, 0), make(chan struct{}, 1)
		c, completed, stop, err := riverClient(ctx, db, riverWorker{ledger: l, called: called}, cooldown)
		if err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		var latencies []float64
		m, err = timed(func() error {
			latencies, err = oneByOne(ctx, w.Tasks, func(ctx context.Context, i int) error {
				if _, err := c.Insert(ctx, riverArgs{string(l.payload(nil, i))}, nil); err != nil {
					return err
				}
				select {
				case <-called:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				if toCompletion {
					return riverCompleted(ctx, completed, 1)
				}
				return nil
			})
			return err
		}, s)
		m.Latencies = latencies
		if err != nil {
			return m, err
		}
		return m, l.check()
	}
}
