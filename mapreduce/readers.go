package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/musterhq/muster/internal/codec"
)

// Pairs returns the pairs of a keyed run, in partition and key order; in a
// sorted run that is the order of all keys. K and V are the key and output
// types of the job. An error ends the iteration.
func Pairs[K, V any](ctx context.Context, o Output) iter.Seq2[Pair[K, V], error] {
	return func(yield func(Pair[K, V], error) bool) {
		keys, values, err := pairCodecs[K, V]()
		if err != nil {
			yield(Pair[K, V]{}, err)
			return
		}
		for item, err := range o.Items(ctx) {
			var p Pair[K, V]
			switch {
			case err != nil:
			case item.Key == nil:
				err = errors.New("mapreduce: this run returned results and not pairs: use Value, Values or Results")
			default:
				p, err = decodePair(keys, values, item)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// Collect returns the pairs of a keyed run as a map.
func Collect[K comparable, V any](ctx context.Context, o Output) (map[K]V, error) {
	all := map[K]V{}
	for p, err := range Pairs[K, V](ctx, o) {
		if err != nil {
			return nil, err
		}
		all[p.Key] = p.Value
	}
	return all, nil
}

// Results returns how each task of a run ended, in task order: for a run
// whose results are of several types, or that tolerates failures. A Result is
// valid until the next step. An error ends the iteration.
func Results(ctx context.Context, o Output) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		for item, err := range o.Items(ctx) {
			if err == nil && item.Key != nil {
				err = errors.New("mapreduce: this run returned pairs and not results: use Pairs or Collect")
			}
			if err != nil {
				yield(Result{}, err)
				return
			}
			if !yield(Result{Task: item.N, Err: item.Err, value: item.Value}, nil) {
				return
			}
		}
	}
}

// Values returns the results of a run's tasks, in task order. In a run that
// tolerates failures, a task that failed yields a *TaskError and the iteration
// goes on; any other error ends it.
func Values[T any](ctx context.Context, o Output) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for r, err := range Results(ctx, o) {
			var v T
			if err == nil {
				err = r.Decode(&v)
			}
			var failed *TaskError
			if !yield(v, err) || err != nil && !errors.As(err, &failed) {
				return
			}
		}
	}
}

// Value returns the one result of a run: of its only task, or of its Reduce.
func Value[T any](ctx context.Context, o Output) (T, error) {
	var v T
	n := 0
	for r, err := range Results(ctx, o) {
		if err != nil {
			return v, err
		}
		if n++; n > 1 {
			continue // to tell how many there are
		}
		if err := r.Decode(&v); err != nil {
			return v, err
		}
	}
	switch n {
	case 1:
		return v, nil
	case 0:
		return v, errors.New("mapreduce: this run returned nothing: it had no task, or wrote its pairs to files")
	}
	var zero T
	return zero, fmt.Errorf("mapreduce: this run returned %d values: use Values", n)
}

// A TaskError says that a task failed for good in a run that tolerates it.
type TaskError struct {
	// Task is the task's number in the run.
	Task int
	// Reason is the text of the error that its last attempt ended with.
	Reason string
}

// Error returns the task and the reason.
func (e *TaskError) Error() string {
	return fmt.Sprintf("mapreduce: task %d failed: %s", e.Task, e.Reason)
}

func pairCodecs[K, V any]() (keys codec.Key[K], values codec.Value[V], err error) {
	if keys, err = codec.KeyOf[K](); err != nil {
		return keys, values, fmt.Errorf("mapreduce: keys as %s: %w", typeName[K](), err)
	}
	if values, err = codec.ValueOf[V](); err != nil {
		return keys, values, fmt.Errorf("mapreduce: values as %s: %w", typeName[V](), err)
	}
	return keys, values, nil
}

func decodePair[K, V any](keys codec.Key[K], values codec.Value[V], item Item) (p Pair[K, V], err error) {
	if p.Key, err = keys.Decode(item.Key); err != nil {
		return p, fmt.Errorf("mapreduce: a key of %s as %s: %w: is it the job's key type?", item.Task, typeName[K](), err)
	}
	if p.Value, err = values.Decode(item.Value); err != nil {
		return p, fmt.Errorf("mapreduce: the value of key %s in %s as %s: %w: is it the job's output type?", shown(p.Key), item.Task, typeName[V](), err)
	}
	return p, nil
}
