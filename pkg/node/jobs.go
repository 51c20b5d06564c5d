package node

import (
	"cmp"
	"context"
	"fmt"

	"github.com/musterhq/muster/internal/wire"
)

// PauseJob keeps runs of a job from beginning until ResumeJob; those that have
// begun go on. Runs may still be submitted, and wait. An empty namespace is
// "default". It returns when that is recorded. Of a job that is paused already
// the first reason stays.
func (n *Node) PauseJob(ctx context.Context, namespace, name, reason string) error {
	ref := wire.JobRef{Namespace: cmp.Or(namespace, "default"), Name: name, Reason: cmp.Or(reason, "no reason was given")}
	return n.askJob(ctx, wire.MethodPause, ref)
}

// ResumeJob lets runs of a job begin again.
func (n *Node) ResumeJob(ctx context.Context, namespace, name string) error {
	return n.askJob(ctx, wire.MethodResume, wire.JobRef{Namespace: cmp.Or(namespace, "default"), Name: name})
}

func (n *Node) askJob(ctx context.Context, method string, ref wire.JobRef) error {
	if _, err := lead[wire.Nothing](ctx, n, method, ref); err != nil {
		return fmt.Errorf("node: job %s/%s: %w", ref.Namespace, ref.Name, plain(err))
	}
	return nil
}
