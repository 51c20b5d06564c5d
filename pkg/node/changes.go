package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

const (
	// changesWait is how long a server lets somebody wait for a change before it
	// says how far it is: a place that was asked from lately is one that is known.
	changesWait = 10 * time.Second
	// changesAnswer is how long it may take to say so.
	changesAnswer = 3 * time.Second
	// changesPage is how many changes it tells of at a time.
	changesPage = 256
	// maxFollowers bounds how many may follow changes at a node that has to ask
	// servers for each.
	maxFollowers = 64
)

// Changes yields what changes of the runs, jobs and bulk operations of a
// namespace, from the place q.After on, until ctx ends. The first page comes at
// once, others when there is something, and without a change now and then: the
// Next of the last is where to go on, at any node.
//
// Any server tells of them, and another one when it is gone or cut off. Each
// remembers about the latest 16,000 changes and waits for nobody: a page says Reset if
// there were some that are not known any more, because After is too long ago or
// who reads was too slow. Who lists what he is interested in then, and takes in
// the changes that follow, knows how everything is. The first page is one if
// After is empty.
//
// ErrNoLeader says that for a while no server could be found that follows a
// leader, ErrOverloaded that too many follow changes at this node.
func (n *Node) Changes(ctx context.Context, q job.ChangeQuery) iter.Seq2[job.ChangePage, error] {
	q.Namespace = cmp.Or(q.Namespace, "default")
	q.Limit = changesPage
	return func(yield func(job.ChangePage, error) bool) {
		if n.state == nil {
			if n.followers.Add(1) > maxFollowers {
				n.followers.Add(-1)
				yield(job.ChangePage{}, fmt.Errorf("%w: %d follow changes at this node already, which holds no state: ask a server", ErrOverloaded, maxFollowers))
				return
			}
			defer n.followers.Add(-1)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(n.ctx, func() { cancel(context.Cause(n.ctx)) })()
		ref, from := wire.ChangesRef{Query: q}, ""
		for {
			page, err := n.changes(ctx, ref, &from)
			if !yield(page, err) || err != nil {
				return
			}
			ref.Query.After, ref.Wait = page.Next, changesWait
		}
	}
}

// changes returns the next page from the server from, or another if that one
// can't tell.
func (n *Node) changes(ctx context.Context, ref wire.ChangesRef, from *string) (page job.ChangePage, err error) {
	for began, wait := time.Now(), 20*time.Millisecond; ; wait = min(2*wait, time.Second) {
		why := errors.New("no server is in the pool")
		for _, id := range n.tellers(*from) {
			page, err := n.askChanges(ctx, id, ref)
			switch {
			case err == nil:
				*from = id
				return page, nil
			case ctx.Err() != nil:
				return page, context.Cause(ctx)
			}
			why = err
		}
		if time.Since(began) > n.leaders.patience {
			return page, fmt.Errorf("%w that a server follows, within %v: %w", ErrNoLeader, n.leaders.patience, plain(why))
		}
		if !pause(ctx, wait) {
			return page, context.Cause(ctx)
		}
	}
}

// tellers returns the servers that may be asked for changes: the one that told
// of them last, this node, and all others.
func (n *Node) tellers(last string) []string {
	servers := n.servers()
	ids := make([]string, len(servers))
	for i := range servers {
		ids[i] = servers[i].ID
	}
	rank := func(id string) int {
		switch id {
		case last:
			return 0
		case n.id:
			return 1
		}
		return 2
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	return ids
}

func (n *Node) askChanges(ctx context.Context, id string, r wire.ChangesRef) (job.ChangePage, error) {
	if id == n.id && n.server != nil {
		return n.server.changes(ctx, r)
	}
	ctx, cancel := context.WithTimeout(ctx, r.Wait+changesAnswer)
	defer cancel()
	return ask[job.ChangePage](ctx, n, id, wire.MethodChanges, r)
}

// changes returns changes as this server knows them, as soon as there are any or
// it was asked to wait no longer. It does not answer while it follows nobody:
// then much may have changed that it does not hear of.
func (s *server) changes(ctx context.Context, r wire.ChangesRef) (job.ChangePage, error) {
	enough := time.NewTimer(min(r.Wait, changesWait))
	defer enough.Stop()
	for {
		turned := s.state.LeaderChanged()
		if s.state.Leader() == "" {
			return job.ChangePage{}, state.ErrNotLeader
		}
		page, more, err := s.state.Changes(r.Query)
		if err != nil || page.Reset || len(page.Changes) > 0 {
			return page, err
		}
		if r.Query.After = page.Next; more == nil {
			continue
		}
		select {
		case <-more:
		case <-turned:
		case <-enough.C:
			return page, nil
		case <-ctx.Done():
			return page, context.Cause(ctx)
		}
	}
}

// serveChanges tells other nodes what changes.
func (s *server) serveChanges() { handleAsk(s.n, wire.MethodChanges, s.changes) }
