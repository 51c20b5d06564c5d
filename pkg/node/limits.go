package node

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/scheduler"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// maxLimitKey bounds a limit key in bytes.
const maxLimitKey = 512

// LimitKey gives the run a limit key: limits by key count it together with
// the others that have the same, and it waits for those alone. It is in place of
// the one that Spec.LimitKey would give it.
func LimitKey(key string) Option { return func(r *job.Run) { r.LimitKey = key } }

// limitKey works out the limit key of a run whose caller gave it none.
func (n *Node) limitKey(run *job.Run) (err error) {
	if run.LimitKey == "" && run.Spec.LimitKey != "" {
		if run.LimitKey, err = n.keys.Of(run.Spec.LimitKey, run); err != nil {
			return fmt.Errorf("node: LimitKey: %w", bare(err))
		}
	}
	if len(run.LimitKey) > maxLimitKey {
		return fmt.Errorf("node: LimitKey %.20q... has %d bytes, over the limit of %d: use a shorter one, or a hash", run.LimitKey, len(run.LimitKey), maxLimitKey)
	}
	return nil
}

// PutNamespace says what holds for all jobs of a namespace together, in place
// of what was said before. It takes effect at once, for the runs that have not
// begun, and wherever the leader is: it is part of the state and not of
// anybody's configuration.
func (n *Node) PutNamespace(ctx context.Context, ns job.Namespace) error {
	ns.Name = cmp.Or(ns.Name, "default")
	if err := ns.Validate(); err != nil {
		return err
	}
	if _, err := lead[wire.Nothing](ctx, n, wire.MethodPutNamespace, ns); err != nil {
		return fmt.Errorf("node: namespace %s: %w", ns.Name, plain(err))
	}
	return nil
}

// Namespaces returns the namespaces of which something is said, in the order of
// their names.
func (n *Node) Namespaces(ctx context.Context) ([]job.Namespace, error) {
	return lead[[]job.Namespace](ctx, n, wire.MethodNamespaces, wire.Nothing{})
}

// putNamespace records what is said of a namespace. While it is not known
// whether that happened it does so again.
func (l *leader) putNamespace(ctx context.Context, ns job.Namespace) (wire.Nothing, error) {
	return outlive(ctx, l, func() (none wire.Nothing, err error) {
		for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
			if err = l.state.PutNamespace(l.ctx, ns); !is(err, state.ErrUncertain) || !pause(l.ctx, wait) {
				break
			}
		}
		if err == nil {
			l.mu.Lock()
			l.limits[ns.Name] = ns.Limits
			l.heads = nil // what they wait for may be another
			l.mu.Unlock()
			l.wakeQueue()
		}
		return none, err
	})
}

// remember takes over what the leader before knew of limits.
func (l *leader) remember() error {
	namespaces, err := l.state.Namespaces()
	if err != nil {
		return err
	}
	rates, err := l.state.Rates()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ns := range namespaces {
		l.limits[ns.Name] = ns.Limits
	}
	for _, w := range rates {
		if err := l.admit.Recall(scheduler.Spent{Of: w.Of, Window: w.Window}); err != nil {
			return err
		}
	}
	return nil
}

// claimLocked returns what a run needs to begin.
func (l *leader) claimLocked(run *job.Run) scheduler.Claim {
	return scheduler.ClaimOf(run, l.limits[run.Spec.Namespace])
}

// sweepRates is how often the state is rid of rates that nothing is left of.
const sweepRates = time.Minute

// keepRates records that runs are about to begin whose rates are limited.
func (l *leader) keepRates() error {
	l.mu.Lock()
	spent := l.admit.Spent()
	if now := time.Now(); now.Sub(l.swept) > sweepRates {
		l.swept = now
		spent = append(spent, l.admit.Over(l.n.wall())...)
	}
	l.mu.Unlock()
	if len(spent) == 0 {
		return nil
	}
	windows := make([]wire.RateWindow, len(spent))
	for i, s := range spent {
		windows[i] = wire.RateWindow{Of: s.Of, Window: s.Window}
	}
	return l.state.KeepRates(l.ctx, windows)
}
