package node

import (
	"context"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// Do submits a run of spec, waits for its end and returns what it returned: a
// Submit and a Wait. When ctx ends before the run does, the run goes on.
func (n *Node) Do(ctx context.Context, spec job.Spec, options ...Option) (mapreduce.Output, error) {
	run, err := n.Submit(ctx, spec, options...)
	if err != nil {
		return mapreduce.Output{}, err
	}
	return run.Wait(ctx)
}
