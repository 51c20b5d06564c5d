// Package worker is the part of a node that executes attempts.
//
// It takes tasks in batches, makes an attempt at each on a bounded pool of
// goroutines, and reports what became of them:
//
//	Take ─► queue of the run ─► runner ─► attempt ─► outcomes ─► Host.Report
//
// It knows how to execute attempts and nothing of the run that they belong to:
// whether an attempt is repeated, and what its result is good for, is decided
// elsewhere.
//
// What holds when things fail: an attempt that was taken is reported exactly
// once, however it ends, unless its master was replaced or its run is over.
// The user's code can fail only its own attempt. It may panic, call
// runtime.Goexit, overrun its time, or ignore that it was cancelled: then it
// is abandoned, its slot goes to somebody else, and nothing that it does later
// counts.
package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/ants/v2"

	"github.com/musterhq/muster/internal/roll"
	"github.com/musterhq/muster/internal/shuffle"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// errReplaced is why attempts of an older epoch end.
var errReplaced = fmt.Errorf("%w: the master that placed it was replaced", mapreduce.ErrFenced)

// Config says what a worker executes, and on whose behalf.
type Config struct {
	// Node is the name of the node, as tasks see it.
	Node string
	// Slots is how many attempts execute at a time. Zero means
	// runtime.GOMAXPROCS(0).
	Slots int
	// Processors are what the node can run. Those that are registered after
	// New are not seen.
	Processors mapreduce.Registry
	// Shuffle takes and gives the pairs of keyed runs. Nil means that the
	// worker refuses the tasks of keyed runs.
	Shuffle *shuffle.Shuffle
	// Host is the way out. Required.
	Host Host
	// Logger gets what an operator should know, and what tasks log. Nil means
	// slog.Default().
	Logger *slog.Logger
	// Lines returns what keeps the lines of an attempt beside Logger. It is called
	// at the first line of each. Nil means that nobody keeps them.
	Lines func(a job.AttemptID) Lines
	// Metrics counts attempts. Nil means that nobody does.
	Metrics *telemetry.Metrics
	// Spans traces attempts. Nil means that nobody does.
	Spans *telemetry.Spans
	// MaxPayload and MaxResult bound, in bytes, what a subtask may carry and
	// what an attempt may return. Zero means 1 MiB.
	MaxPayload, MaxResult int64
	// Grace is how long a cancelled attempt may take to return before it is
	// abandoned. Longer lets slow clean-up finish; shorter frees its slot
	// sooner. Zero means 10 s.
	Grace time.Duration
}

// Lines takes the lines of one attempt, from several goroutines and perhaps
// after its end. It must not block.
type Lines interface {
	Add(level slog.Level, text string, attrs []job.LogAttr)
}

// Host is what a worker asks of its node. Calls for different runs and
// attempts come at the same time.
type Host interface {
	// Report hands on how attempts ended, and does not wait for what becomes of
	// that: the host says so by Done. Until then there is no other report of the
	// run and epoch, and the next has all that has accumulated.
	Report(r *Report)
	// Emit hands on the next chunk of an attempt's subtasks. It returns when
	// they are going to be durable before anything that is reported of the
	// attempt later, or with why the attempt should give up.
	Emit(ctx context.Context, a job.AttemptID, seq int, tasks []job.Subtask) error
	// Output hands on the next chunk of the n pairs that a reduce attempt
	// returns, packed by mapreduce.AppendPair: at most 512 KiB, unless it is
	// a single pair. The bytes are the host's. It returns as Emit does.
	Output(ctx context.Context, a job.AttemptID, seq int, pairs []byte, n int) error
	// Results yields the results of all tasks of the run in the order in
	// which they were recorded. An error is the last it yields.
	Results(ctx context.Context, run job.RunID) iter.Seq2[mapreduce.Result, error]
}

func (c Config) withDefaults() Config {
	if c.Slots == 0 {
		c.Slots = runtime.GOMAXPROCS(0)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = 1 << 20
	}
	if c.MaxResult == 0 {
		c.MaxResult = 1 << 20
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	return c
}

func (c *Config) validate() error {
	switch {
	case c.Host == nil:
		return errors.New("worker: Host is nil: outcomes need somewhere to go")
	case c.Slots < 0:
		return fmt.Errorf("worker: Slots is %d: want at least 1, or 0 for one per core", c.Slots)
	case c.MaxPayload < 0:
		return fmt.Errorf("worker: MaxPayload is %d: want a number of bytes, or 0 for 1 MiB", c.MaxPayload)
	case c.MaxResult < 0:
		return fmt.Errorf("worker: MaxResult is %d: want a number of bytes, or 0 for 1 MiB", c.MaxResult)
	case c.Grace < 0:
		return fmt.Errorf("worker: Grace is %v: want a duration, or 0 for 10s", c.Grace)
	}
	return nil
}

// Worker executes attempts. Its methods may be called at the same time.
type Worker struct {
	cfg        Config
	log        *slog.Logger
	host       Host
	pairs      pairs // nil if there is no shuffle
	processors map[string]*processor
	pool       *ants.Pool
	run        func()        // runner, as a value that can be passed on
	untraced   atomic.Uint32 // see telemetry.Heed

	mu    sync.Mutex
	runs  roll.Of[*run] // guarded by mu
	over  memory        // guarded by mu: runs that were forgotten
	ready ring          // guarded by mu: runs that could start an attempt now

	// Runners hold the slots; errands are reports that are not Done, and
	// goroutines that clear away what an abandoned attempt left. Drain waits for
	// both.
	runners int // guarded by mu
	errands int // guarded by mu

	running int                   // guarded by mu: attempts
	queued  int                   // guarded by mu: tasks
	busy    int                   // guarded by mu: runs that have either
	strays  map[*attempt]struct{} // guarded by mu: abandoned, and not back yet
	total   Totals                // guarded by mu
	pace    time.Duration         // how long an attempt takes, lately; guarded by mu

	resting  *rest         // nil unless it takes no tasks for now; guarded by mu
	stopping bool          // guarded by mu
	quiet    chan struct{} // closed once the worker is stopping and has no goroutine left
	drained  drained
}

// processor is what the worker knows of one processor.
type processor struct {
	mapreduce.Powers
	name  string
	code  mapreduce.Processor
	count *telemetry.Attempts
}

// New returns a worker. It must be stopped with Drain.
func New(cfg Config) (*Worker, error) {
	var p pairs
	if cfg.Shuffle != nil {
		p = shuffled{cfg.Shuffle}
	}
	return newWorker(cfg, p)
}

func newWorker(cfg Config, p pairs) (*Worker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	w := &Worker{
		cfg:        cfg,
		log:        cfg.Logger,
		host:       cfg.Host,
		pairs:      p,
		processors: make(map[string]*processor, len(cfg.Processors)),
		strays:     make(map[*attempt]struct{}),
		quiet:      make(chan struct{}),
	}
	for name, code := range maps.All(cfg.Processors) {
		if code == nil {
			return nil, fmt.Errorf("worker: Processors: %q is nil", name)
		}
		w.processors[name] = &processor{
			Powers: mapreduce.PowersOf(code), name: name, code: code, count: cfg.Metrics.Attempts(name),
		}
	}
	// Runners are counted here, so the pool is never asked for more of them
	// than it holds, except in the moment in which one is on its way out.
	// Waiting for that one could be for ever; see hire.
	pool, err := ants.NewPool(cfg.Slots, ants.WithNonblocking(true), ants.WithExpiryDuration(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("worker: pool of %d: %w", cfg.Slots, err)
	}
	w.pool, w.run = pool, w.runner
	return w, nil
}
