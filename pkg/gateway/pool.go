package gateway

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// pool is a node as the API wants it: runs by their IDs, without handles.
type pool struct{ *node.Node }

// Ready returns nil if somebody leads the cluster.
func (p pool) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	_, err := p.Leader(ctx)
	return err
}

const readyTimeout = 3 * time.Second

func (p pool) RunJob(ctx context.Context, namespace, name string, options ...func(*job.Run)) (job.RunID, error) {
	return made(p.Node.RunJob(ctx, namespace, name, optionsOf(options)...))
}

func (p pool) Submit(ctx context.Context, spec job.Spec, options ...func(*job.Run)) (job.RunID, error) {
	return made(p.Node.Submit(ctx, spec, optionsOf(options)...))
}

func (p pool) Retry(ctx context.Context, id job.RunID, all bool) (job.RunID, error) {
	if all {
		return made(p.Node.Run(id).RetryAll(ctx))
	}
	return made(p.Node.Run(id).Retry(ctx))
}

func made(r *node.Run, err error) (job.RunID, error) {
	if err != nil {
		return "", err
	}
	return r.ID(), nil
}

func optionsOf(options []func(*job.Run)) []node.Option {
	out := make([]node.Option, len(options))
	for i, o := range options {
		out[i] = o
	}
	return out
}

func (p pool) Run(ctx context.Context, id job.RunID) (job.Run, error) { return p.Node.Run(id).Get(ctx) }

func (p pool) Progress(ctx context.Context, id job.RunID) (job.Progress, error) {
	return p.Node.Run(id).Progress(ctx)
}

// Wait returns when the run is over. How it ended is no error here.
func (p pool) Wait(ctx context.Context, id job.RunID) error {
	_, err := p.Node.Run(id).Wait(ctx)
	var ended *node.RunError
	if errors.As(err, &ended) {
		return nil
	}
	return err
}

func (p pool) Watch(ctx context.Context, id job.RunID, every time.Duration) iter.Seq[job.Progress] {
	return p.Node.Run(id).Watch(ctx, every)
}

func (p pool) Cancel(ctx context.Context, id job.RunID, reason string) error {
	return p.Node.Run(id).Cancel(ctx, reason)
}

func (p pool) Stop(ctx context.Context, id job.RunID, reason string) error {
	return p.Node.Run(id).Stop(ctx, reason)
}

func (p pool) Logs(ctx context.Context, id job.RunID, q job.LogQuery) iter.Seq2[job.LogLine, error] {
	return p.Node.Run(id).Logs(ctx, q)
}

func (p pool) Download(ctx context.Context, id job.RunID, w io.Writer) (string, error) {
	return p.Node.Run(id).Download(ctx, w)
}

// Result yields what a run returned, decoded.
func (p pool) Result(ctx context.Context, id job.RunID) iter.Seq2[api.Item, error] {
	return func(yield func(api.Item, error) bool) {
		out, err := p.Node.Run(id).Wait(ctx)
		if err != nil {
			yield(api.Item{}, err)
			return
		}
		for item, err := range out.Items(ctx) {
			var said api.Item
			if err == nil {
				said, err = itemOf(&item)
			}
			if !yield(said, err) || err != nil {
				return
			}
		}
	}
}

func itemOf(item *mapreduce.Item) (api.Item, error) {
	out := api.Item{Task: item.Task, Error: item.Err}
	for _, v := range []struct {
		of  []byte
		dst *any
	}{{item.Key, &out.Key}, {item.Value, &out.Value}} {
		if len(v.of) > 0 {
			if err := mapreduce.Decode(v.of, v.dst); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}
