package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
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
			if !yield(itemOf(&item), err) || err != nil {
				return
			}
		}
	}
}

// itemOf returns an item as JSON has it. What it has no word for, such as a
// number that is none, stays encoded.
func itemOf(item *mapreduce.Item) api.Item {
	out := api.Item{Task: item.Task, Error: item.Err}
	for _, v := range []struct {
		of  []byte
		dst *any
	}{{item.Key, &out.Key}, {item.Value, &out.Value}} {
		if len(v.of) == 0 {
			continue
		}
		err := mapreduce.Decode(v.of, v.dst)
		if err == nil {
			_, err = json.Marshal(*v.dst)
		}
		if err != nil {
			return api.Item{Task: item.Task, Error: item.Err, Encoded: true, Key: base64Of(item.Key), Value: base64Of(item.Value)}
		}
	}
	return out
}

func base64Of(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (p pool) Attempts(ctx context.Context, id job.RunID, q job.AttemptQuery) (job.AttemptPage, error) {
	return p.Node.Run(id).Attempts(ctx, q)
}

func (p pool) Cluster(ctx context.Context) (api.Cluster, error) {
	c, err := p.Node.Cluster(ctx)
	out := api.Cluster{
		Name: c.Name, ID: c.ID, Leader: c.Leader, Term: c.Term, Servers: c.Servers, Health: c.Health, Why: c.Why, Voters: []api.Voter{},
		Asked: api.NodeReference{ID: p.ID(), Name: p.Name()},
	}
	for _, v := range c.Voters {
		out.Voters = append(out.Voters, api.Voter{NodeReference: api.NodeReference{ID: v.ID, Name: v.Name}, InPool: v.InPool})
	}
	return out, err
}

func (p pool) Nodes() []api.Node {
	all := p.Node.Nodes()
	out := make([]api.Node, len(all))
	for i := range all {
		n := &all[i]
		out[i] = api.Node{
			ID: n.ID, Name: n.Name, Gossip: n.Addr, RPC: n.RPC, Roles: n.Roles, Tags: n.Tags, Version: n.Version, Slots: n.Slots,
			CPU: n.CPU, Memory: n.Memory, Disk: n.Disk, Running: n.Running, Queued: n.Queued, Abandoned: n.Abandoned, Masters: n.Masters,
			Ahead: api.Duration(n.Ahead), Within: api.Duration(n.Within),
		}
	}
	return out
}

func (p pool) Processors() []api.Processor {
	all := p.Node.Processors()
	out := make([]api.Processor, len(all))
	for i, k := range all {
		out[i] = api.Processor(k)
	}
	return out
}

func (p pool) Send(ctx context.Context, e job.Event) (api.Sent, error) {
	s, err := p.Node.Send(ctx, e)
	return api.Sent(s), err
}
