package simulation_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/nodetest/simulation"
	"github.com/musterhq/muster/sharding"
	"github.com/musterhq/muster/trigger"
)

// kind is a sort of work whose outcome is known.
type kind struct {
	// spec is a run of n pieces, and what comes of it.
	spec func(n int) (job.Spec, simulation.Work)
	// read returns what a run returned.
	read func(ctx context.Context, out mapreduce.Output) (string, error)
}

var kinds = map[string]kind{
	// A task that emits n others, whose results are added up.
	"spread": {
		func(n int) (job.Spec, simulation.Work) {
			return job.Spec{Params: strconv.Itoa(n)}, simulation.Work{Want: strconv.Itoa(n * (n - 1) / 2), Tasks: n + 2, Executed: n + 1}
		},
		func(ctx context.Context, out mapreduce.Output) (string, error) {
			n, err := mapreduce.Value[int](ctx, out)
			return strconv.Itoa(n), err
		},
	},
	// A task for each of n values.
	"plain": {
		func(n int) (job.Spec, simulation.Work) {
			values := make([]int, n)
			for i := range values {
				values[i] = i
			}
			return job.Spec{Input: job.Values(values...)}, simulation.Work{Want: sumOfSquares(n), Tasks: n, Executed: n}
		}, sum,
	},
	// A task for each of n shards.
	"shards": {
		func(n int) (job.Spec, simulation.Work) {
			return job.Spec{Mode: job.Sharded, Shards: n}, simulation.Work{Want: sumOfSquares(n), Tasks: n, Executed: n}
		}, sum,
	},
	// Words that are counted.
	"count": {
		func(n int) (job.Spec, simulation.Work) {
			lines, times := make([]string, n), map[string]int{}
			for i := range lines {
				lines[i] = fmt.Sprintf("all w%d", i%7)
				times["all"]++
				times[fmt.Sprint("w", i%7)]++
			}
			return job.Spec{Input: job.Values(lines...), Partitions: 5}, simulation.Work{Want: fmt.Sprint(times)}
		},
		func(ctx context.Context, out mapreduce.Output) (string, error) {
			times, err := mapreduce.Collect[string, int](ctx, out)
			return fmt.Sprint(times), err
		},
	},
}

// tick is a job that is due every three seconds.
var tick = job.Spec{
	Name: "tick", Processor: "tick", Retry: job.Retry{Attempts: 20, Losses: 50},
	Schedule: trigger.Schedule{When: "every 3s", Overlap: trigger.OverlapAllow, Misfire: trigger.MisfireAll},
}

// hear is a job for each event, and after one for each run of tick.
var (
	hear  = job.Spec{Name: "hear", Processor: "tick", Retry: tick.Retry, Schedule: trigger.Schedule{When: "event e"}}
	after = job.Spec{Name: "after", Processor: "tick", Retry: tick.Retry, Schedule: trigger.Schedule{When: "upstream tick on done"}}
)

func sumOfSquares(n int) string {
	sum := 0
	for i := range n {
		sum += i * i
	}
	return strconv.Itoa(sum)
}

func sum(ctx context.Context, out mapreduce.Output) (string, error) {
	sum := 0
	for n, err := range mapreduce.Values[int](ctx, out) {
		if err != nil {
			return "", err
		}
		sum += n
	}
	return strconv.Itoa(sum), nil
}

// processors are what every node of the world runs.
func (w *world) processors() mapreduce.Registry {
	return mapreduce.Registry{
		"spread": spread{w},
		"plain": mapreduce.ProcessorFunc(func(ctx context.Context, t *mapreduce.Task) (any, error) {
			var n int
			if err := t.Decode(&n); err != nil {
				return nil, err
			}
			return n * n, w.busy(ctx, t)
		}),
		"shards": mapreduce.ProcessorFunc(func(ctx context.Context, t *mapreduce.Task) (any, error) {
			return t.Shard.Index * t.Shard.Index, w.busy(ctx, t)
		}),
		"count": mapreduce.Of(count{w}),
		"held":  mapreduce.ProcessorFunc(func(ctx context.Context, t *mapreduce.Task) (any, error) { return w.held(ctx, t) }),
		"tick": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
			return nil, pass(ctx, 100*time.Millisecond)
		}),
	}
}

// busy takes the time of a task, which is long for some, and fails now and
// then.
func (w *world) busy(ctx context.Context, t *mapreduce.Task) error {
	id := t.Extra["id"]
	chance := rand.New(rand.NewPCG(w.seed, sharding.Hash(fmt.Append(nil, id, t.ID, t.Attempt))))
	d := time.Duration(chance.IntN(400)) * time.Millisecond
	if chance.IntN(10) == 0 {
		d = time.Duration(chance.IntN(15_000)) * time.Millisecond
	}
	a := simulation.Attempt{Node: t.Node, Name: fmt.Sprintf("%s/%s#%d", t.Run, t.ID, t.Attempt), Began: time.Now()}
	err := pass(ctx, d)
	if a.Ended = time.Now(); a.Ended.Sub(a.Began) > simulation.FenceAfter {
		w.tell(func(s *simulation.Story) { s.Attempts = append(s.Attempts, a) })
	}
	if err != nil {
		return err
	}
	switch {
	case t.Extra["doomed"] != "" && t.ID == "m0" && !w.isSaved(id):
		return mapreduce.Permanent(fmt.Errorf("doomed"))
	case chance.IntN(12) == 0 && t.Attempt < 10:
		return fmt.Errorf("not today")
	case chance.IntN(40) == 0 && t.Attempt < 10:
		panic("not like this")
	}
	w.tell(func(s *simulation.Story) {
		if s.Executed[id] == nil {
			s.Executed[id] = map[string]int{}
		}
		s.Executed[id][t.ID]++
	})
	return nil
}

// save makes the tasks of a doomed run succeed from now on.
func (w *world) save(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saved[id] = true
}

func (w *world) isSaved(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.saved[id]
}

// pass lets time pass, unless ctx ends before.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type spread struct{ w *world }

func (p spread) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	n := 0
	if t.Parent != "" {
		if err := t.Decode(&n); err != nil {
			return nil, err
		}
		return n, p.w.busy(ctx, t)
	}
	total, err := strconv.Atoi(t.Params)
	if err != nil {
		return nil, mapreduce.Permanent(err)
	}
	for i := range total {
		if err := t.Emit("piece", i); err != nil {
			return nil, err
		}
	}
	return 0, p.w.busy(ctx, t)
}

func (spread) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	sum := 0
	for r := range results {
		var n int
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		sum += n
	}
	return sum, nil
}

type count struct{ w *world }

func (p count) Map(ctx context.Context, line string, emit func(string, int)) error {
	for _, word := range slices.Collect(strings.FieldsSeq(line)) {
		emit(word, 1)
	}
	t, _ := mapreduce.TaskFrom(ctx)
	return p.w.busy(ctx, t)
}

func (count) Reduce(ctx context.Context, _ string, ones iter.Seq[int]) (n int, err error) {
	for one := range ones {
		n += one
	}
	return n, pass(ctx, 200*time.Millisecond)
}
