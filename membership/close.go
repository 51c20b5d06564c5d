package membership

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"time"
)

const (
	// gossipLabel is the profiler label of the gossip library's goroutines;
	// its value names the life they belong to.
	gossipLabel = "muster_gossip"
	// goodbyeTime is how long Leave takes at most to say goodbye. The news
	// goes out in a few rounds of gossip, or not at all.
	goodbyeTime = 2 * time.Second
)

// Leave says goodbye, so that the others need not find out by themselves, and
// closes the list. ctx bounds the goodbye, which takes 2 s at most and a few
// rounds of gossip as a rule. The list is closed in any case; an error means
// that others may take some seconds to notice. Leaving twice is no error.
func (l *List) Leave(ctx context.Context) error {
	l.ending <- struct{}{}
	defer func() { <-l.ending }()
	if l.ctx.Err() != nil {
		return nil
	}
	wait := goodbyeTime
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end))
	}
	if ctx.Err() != nil {
		wait = 0
	}
	err := l.gossip.Leave(max(wait, time.Millisecond))
	l.shut()
	if err != nil {
		return fmt.Errorf("membership: leave: %w: the others will take some seconds to notice", err)
	}
	return nil
}

// Close ends the list abruptly, as a crash would: the others are not told.
// When it returns nothing of the list runs any more. That takes no time as a
// rule; a probe that is waiting for an answer is waited for, some probe
// intervals at most. Closing twice is no error.
func (l *List) Close() error {
	l.ending <- struct{}{}
	defer func() { <-l.ending }()
	if l.ctx.Err() == nil {
		l.shut()
	}
	return nil
}

// shut stops everything and waits for it. The caller holds ending.
func (l *List) shut() {
	// Under mu, so that nobody starts watching in between.
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	if err := l.gossip.Shutdown(); err != nil {
		l.log.Warn("gossip did not shut down", slog.Any("err", err))
	}
	l.wg.Wait()
	l.quiesce()
}

// quiesce waits for the goroutines of the gossip library, which stops them and
// does not wait for them.
func (l *List) quiesce() {
	// A probe takes an interval, up to eight if this node is in bad health.
	limit := 9*l.cfg.ProbeInterval + time.Second
	began := time.Now()
	for d := time.Millisecond; labelled(l); d = min(2*d, 50*time.Millisecond) {
		if time.Since(began) > limit {
			l.log.Warn("gossip did not come to rest", slog.Duration("waited", limit))
			return
		}
		pause(context.Background(), d)
	}
}

// labelled reports whether a goroutine runs that carries l's label, by looking
// at the profile of all: the library offers nothing that tells.
func labelled(l *List) bool {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return false
	}
	return bytes.Contains(profile.Bytes(), fmt.Appendf(nil, "%q:%q", gossipLabel, lifeName(l.Self())))
}
