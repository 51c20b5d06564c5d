package node

import (
	"cmp"
	"context"
	"fmt"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// JobWithValues is Job with the inline values of its input, which are left out
// elsewhere: as Decode makes them of what they were encoded to, without their
// types. So who declares it with them again has runs work on the same.
func (n *Node) JobWithValues(ctx context.Context, namespace, name string) (job.Declared, error) {
	namespace = cmp.Or(namespace, "default")
	in, err := lead[wire.JobInput](ctx, n, wire.MethodJobInput, wire.JobRef{Namespace: namespace, Name: name})
	if err == nil {
		in.Job.Spec.Input.Values, err = valuesOf(in.Chunks)
	}
	return in.Job, explainJob(namespace, name, err)
}

// valuesOf returns the values that the input of a job was made of, or nil if it
// came with none.
func valuesOf(chunks [][]byte) ([]any, error) {
	if len(chunks) == 0 {
		return nil, nil
	}
	var model job.Run
	if err := wire.DecodeRecord(chunks[0], &model); err != nil {
		return nil, err
	}
	values := []any{}
	for _, b := range chunks[1:] {
		e, err := wire.DecodeEntry(b)
		if err != nil {
			return nil, err
		}
		for task, err := range wire.Subtasks(e.N, e.Blob) {
			if err != nil {
				return nil, err
			}
			encoded := [][]byte{task.Payload}
			if model.Plan.Keyed {
				if encoded, err = mapreduce.PayloadValues(task.Payload); err != nil {
					return nil, err
				}
			}
			for _, b := range encoded {
				var v any
				if err := mapreduce.Decode(b, &v); err != nil {
					return nil, fmt.Errorf("value %d: %w", len(values), err)
				}
				values = append(values, v)
			}
		}
	}
	return values, nil
}
