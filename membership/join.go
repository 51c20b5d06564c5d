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
	alone := l.cfg.Lonely
	var seeds []string
	for _, s := range l.cfg.Seeds {
		if l.isSelf(s) {
			alone = true
		} else {
			seeds = append(seeds, s)
		}
	}
	if len(seeds) == 0 {
		return nil
	}
	targets := seeds
	for _, p := range l.known.peers(time.Now()) {
		if !l.isSelf(p.Addr) && !slices.Contains(targets, p.Addr) && len(targets) < len(seeds)+maxOldFriends {
			targets = append(targets, p.Addr)
		}
	}
	limit := meetTime
	if alone {
		limit = glanceTime
	} else if _, ok := ctx.Deadline(); ok {
		limit = time.Hour // the caller's deadline, not ours
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	var mu sync.Mutex
	failures := map[string]error{} // guarded by mu
	answered := make(chan struct{}, len(targets))
	silent := make(chan struct{}) // closed when no seed is tried any more
	var trying sync.WaitGroup
	for _, s := range targets {
		trying.Add(1)
		l.wg.Go(func() {
			defer trying.Done()
			for b := backoff(0); ; {
				err := l.join(s)
				if err == nil {
					answered <- struct{}{}
					return
				}
				mu.Lock()
				failures[s] = err
				mu.Unlock()
				if alone || !b.wait(ctx) {
					return
				}
			}
		})
	}
	l.wg.Go(func() { trying.Wait(); close(silent) })

	select {
	case <-answered:
		return nil
	case <-l.company:
		return nil
	case <-silent:
		// One may have answered and been the last to be silent.
		select {
		case <-answered:
			return nil
		default:
		}
	case <-ctx.Done():
	}
	var errs []error
	mu.Lock()
	for _, s := range seeds {
		err := failures[s]
		if err == nil {
			err = fmt.Errorf("membership: seed %q: no answer yet: start that node or correct the address", s)
		}
		errs = append(errs, err)
	}
	mu.Unlock()
	if alone {
		l.log.Warn("no seed answered, going on alone and trying again", slog.Any("error", errors.Join(errs...)))
		return nil
	}
	return errors.Join(append(errs, fmt.Errorf("membership: start: no seed answered: %w", context.Cause(ctx)))...)
}

// errSelf says that an address turned out to be this node's own.
var errSelf = errors.New("it is this node's own address")

// join dials the node at addr and merges its list with ours. It takes
// streamTimeout at most, or until the list is closed.
func (l *List) join(addr string) error {
	_, err := l.gossip.Join([]string{l.names.alias(addr)})
	if err == nil && l.isSelf(addr) {
		err = errSelf // a name that is known for ours only now
	}
	if err != nil {
		return fmt.Errorf("membership: seed %q: %s", addr, l.explain(err))
	}
	return nil
}

// explain says in our words what the gossip library says about a join that
// failed, and what to do about it.
func (l *List) explain(err error) string {
	if many, ok := err.(interface{ WrappedErrors() []error }); ok && len(many.WrappedErrors()) > 0 {
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
	case err == errSelf:
		return text + ": name another node"
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
