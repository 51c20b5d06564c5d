package work

import (
	"context"
	"strconv"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

type restParams struct {
	Rest time.Duration `json:"rest,omitempty"` // of each task, about
}

// Squares is a run of a task for each of the first n numbers, which returns
// its value. If sharded is set the numbers are those of shards.
func Squares(n int, rest time.Duration, sharded bool) Work {
	w := Work{
		Kind: "map", Spec: job.Spec{Processor: "square", Params: encode(restParams{rest})}, Noted: true,
		Tasks: n, Want: make(map[string]string, n), read: readResults,
	}
	numbers := make([]int, n)
	for i := range n {
		numbers[i] = i
		w.Want[strconv.Itoa(i)] = strconv.FormatInt(valueOf(i), 10)
	}
	if sharded {
		w.Kind, w.Spec.Mode, w.Spec.Shards = "sharded", job.Sharded, n
	} else {
		w.Spec.Mode, w.Spec.Input = job.Map, job.Values(numbers...)
	}
	return w
}

func square(ctx context.Context, t *mapreduce.Task) (any, error) {
	var p restParams
	if err := params(t, &p); err != nil {
		return nil, err
	}
	n := t.Shard.Index
	if err := t.Decode(&n); err != nil {
		return nil, err
	}
	return valueOf(n), rest(ctx, p.Rest, n)
}

func readResults(ctx context.Context, out mapreduce.Output, got *Got) error {
	for r, err := range mapreduce.Results(ctx, out) {
		if err != nil {
			return err
		}
		var v int64
		if err := r.Decode(&v); err != nil {
			return err
		}
		got.Items = append(got.Items, item(r.Task, v))
	}
	return nil
}

// Everywhere is a broadcast: every node there is returns its name.
func Everywhere(rest time.Duration) Work {
	return Work{
		Kind: "broadcast", Spec: job.Spec{
			Processor: "whoami", Mode: job.Broadcast, Params: encode(restParams{rest}), Tolerate: job.Tolerance{Share: 1},
		},
		Noted: true, Everywhere: true, read: readNames,
	}
}

func whoami(ctx context.Context, t *mapreduce.Task) (any, error) {
	var p restParams
	if err := params(t, &p); err != nil {
		return nil, err
	}
	return t.Node, rest(ctx, p.Rest, len(t.Node))
}

func readNames(ctx context.Context, out mapreduce.Output, got *Got) error {
	for r, err := range mapreduce.Results(ctx, out) {
		if err != nil {
			return err
		}
		if r.Err != "" {
			got.Failed[r.Task] = r.Err
			continue
		}
		var name string
		if err := r.Decode(&name); err != nil {
			return err
		}
		got.Items = append(got.Items, verdict.Item{Key: name, Value: name})
	}
	return nil
}

// Echo is the smallest run there is: one task that returns a text.
func Echo(text string) Work {
	return Work{
		Kind: "echo", Spec: job.Spec{Processor: "echo", Params: text}, Tasks: 1,
		Want: map[string]string{"echo": text}, read: readEcho,
	}
}

func echo(_ context.Context, t *mapreduce.Task) (any, error) { return t.Params, nil }

func readEcho(ctx context.Context, out mapreduce.Output, got *Got) error {
	text, err := mapreduce.Value[string](ctx, out)
	got.Items = append(got.Items, verdict.Item{Key: "echo", Value: text})
	return err
}
