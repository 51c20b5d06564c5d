package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// meetTime is how long Start looks for company if its context does not
	// say, and glanceTime if the node may be alone.
	meetTime   = 15 * time.Second
	glanceTime = 2 * time.Second
	// maxOldFriends bounds how many last known members are dialled at start,
	// besides the seeds.
	maxOldFriends = 8
)

// meet dials the seeds, and with them the members known from a former life,
// until one answers, or somebody else joins this node.
func (l *List) meet(ctx context.Context) error {
	var alone atomic.Bool // this node may go on although nobody answered
	alone.Store(l.cfg.Lonely)
	targets := make([]string, 0, len(l.cfg.Seeds)+maxOldFriends)
	for _, s := range l.cfg.Seeds {
		switch {
		case l.isSelf(s):
			alone.Store(true)
		case !slices.Contains(targets, s):
			targets = append(targets, s)
		}
	}
	if len(targets) == 0 {
		return nil
	}
	seeds := len(targets)
	for _, p := range l.known.peers(time.Now()) {
		if len(targets) < seeds+maxOldFriends && !l.isSelf(p.Addr) && !slices.Contains(targets, p.Addr) {
			targets = append(targets, p.Addr)
		}
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, meetTime)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	glance := time.NewTimer(glanceTime)
	defer glance.Stop()

	var mu sync.Mutex
	failed := make([]error, len(targets)) // guarded by mu
	answered := make(chan struct{}, len(targets))
	silent := make(chan struct{}) // closed when nobody is dialled any more
	var dialling sync.WaitGroup
	for i, addr := range targets {
		dialling.Add(1)
		l.wg.Go(func() {
			defer dialling.Done()
			for b := backoff(0); ; {
				err := l.join(addr)
				mu.Lock()
				failed[i] = err
				mu.Unlock()
				switch {
				case err == nil:
					answered <- struct{}{}
					return
				case errors.Is(err, errSelf):
					alone.Store(true)
					return
				case alone.Load() || !b.wait(ctx):
					return
				}
			}
		})
	}
	l.wg.Go(func() { dialling.Wait(); close(silent) })

	for waiting := true; waiting; {
		select {
		case <-answered:
			return nil
		case <-l.company:
			return nil
		case <-glance.C:
			waiting = !alone.Load()
		case <-silent:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	select {
	case <-answered: // by the last to fall silent
		return nil
	default:
	}
	var errs []error
	mu.Lock()
	for i, addr := range targets[:seeds] {
		switch {
		case failed[i] == nil:
			errs = append(errs, fmt.Errorf("membership: seed %q: no answer yet: start that node or correct the address", addr))
		case !errors.Is(failed[i], errSelf):
			errs = append(errs, failed[i])
		}
	}
	mu.Unlock()
	if !alone.Load() {
		var texts []string
		for _, err := range errs {
			texts = append(texts, strings.TrimPrefix(err.Error(), "membership: "))
		}
		return fmt.Errorf("membership: no seed answered: %s (%w)", strings.Join(texts, "; "), context.Cause(ctx))
	}
	if len(errs) > 0 {
		l.log.Warn("no seed answered, going on alone and trying again", slog.Any("err", errors.Join(errs...)))
	}
	return nil
}

// errSelf says that an address turned out to be this node's own.
var errSelf = errors.New("it is this node's own address")

// join dials the node at addr and merges its list with ours. It takes
// streamTimeout at most, or until the list is closed.
func (l *List) join(addr string) error {
	_, err := l.gossip.Join([]string{l.names.alias(addr)})
	if err == nil && l.isSelf(addr) {
		// A name that is known for ours only now.
		return fmt.Errorf("membership: seed %q: %w: name another node", addr, errSelf)
	}
	if err != nil {
		return fmt.Errorf("membership: seed %q: %s", addr, l.explain(err))
	}
	return nil
}

// explain says in our words what the gossip library says about a join that
// failed, and what to do about it.
func (l *List) explain(err error) string {
	var many interface {
		error
		WrappedErrors() []error
	}
	if errors.As(err, &many) && len(many.WrappedErrors()) > 0 {
		err = many.WrappedErrors()[0]
	}
	text := err.Error()
	// "failed to join [fd6d::1]:7946: what happened"; the address may be an alias.
	if rest, ok := strings.CutPrefix(text, "failed to join "); ok {
		if _, what, ok := strings.Cut(rest, ": "); ok {
			text = what
		}
	}
	switch reason := reasonOf(text); {
	case reason != "":
		return text + ": " + reason
	case strings.HasSuffix(text, "EOF"), strings.Contains(text, "connection reset"), strings.Contains(text, "broken pipe"):
		return fmt.Sprintf("%s: it does not talk to this node: it is of another cluster than %q, of another release, or no muster node", text, l.cfg.Cluster)
	}
	return text + ": start that node or correct the address"
}

// jitter returns d, give or take a quarter.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}
