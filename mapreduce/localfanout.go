package mapreduce

import (
	"context"
	"fmt"

	"github.com/musterhq/muster/internal/codec"
)

// fanOut runs the tasks that the run begins with, level by level what they
// emit, and the step that sees all results.
func (r *localRun) fanOut(ctx context.Context) error {
	queue, err := r.roots()
	if err != nil {
		return err
	}
	if r.powers.Before != nil {
		first := localTask{id: "b0"}
		if r.before, _, err = r.tryResult(ctx, first, r.powers.Before.Before); err != nil {
			return err
		}
	}
	var items []Item
	for n := 0; n < len(queue); n++ {
		task := queue[n]
		task.id = fmt.Sprintf("m%d", n)
		item := Item{Task: task.id, N: n}
		result, a, err := r.tryResult(ctx, task, r.processor.Process)
		if err != nil {
			if item.Err, err = r.tolerate(err); err != nil {
				return err
			}
			items = append(items, item)
			continue
		}
		item.Value = result
		items = append(items, item)
		for _, sub := range a.subtasks {
			sub.parent = task.id
			queue = append(queue, sub)
		}
	}
	if r.powers.Reduce == nil {
		r.output = items
		return nil
	}
	return r.reduceAll(ctx, items)
}

// roots returns the tasks that the run begins with.
func (r *localRun) roots() ([]localTask, error) {
	var roots []localTask
	for i, v := range r.Values {
		b, err := codec.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("mapreduce: local run: Values[%d] of type %T: %w", i, v, err)
		}
		roots = append(roots, localTask{payload: b})
	}
	for i, s := range r.Splits {
		b, err := codec.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("mapreduce: local run: Splits[%d]: %w", i, err)
		}
		roots = append(roots, localTask{payload: b})
	}
	for _, node := range r.Nodes {
		roots = append(roots, localTask{node: node})
	}
	for range r.Shards {
		roots = append(roots, localTask{})
	}
	if len(roots) == 0 {
		roots = []localTask{{}}
	}
	for i := range roots {
		roots[i].shard = Shard{Index: i, Total: len(roots)}
	}
	return roots, nil
}

func (r *localRun) reduceAll(ctx context.Context, items []Item) error {
	results := func(yield func(Result) bool) {
		for _, item := range items {
			if !yield(NewResult(item.N, item.Value, item.Err)) {
				return
			}
		}
	}
	last := localTask{id: "r0", shard: Shard{Index: 0, Total: 1}}
	result, _, err := r.tryResult(ctx, last, func(ctx context.Context, t *Task) (any, error) {
		return r.powers.Reduce.Reduce(ctx, t, results)
	})
	if err != nil {
		return err
	}
	r.output = []Item{{Task: last.id, Value: result}}
	return nil
}
