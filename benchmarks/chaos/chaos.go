//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/host"
	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/benchmarks/chaos/verdict"
)

// tell starts a cluster, has the story told that was asked for, and judges.
func tell(ctx context.Context, o options) (err error) {
	say("seed %d, %d servers and %d workers, hosts apart: %v", o.seed, o.servers, o.workers, host.Isolated())
	ctx, cancel := context.WithTimeout(ctx, o.duration+o.settle+10*time.Minute)
	defer cancel()
	starting := time.Now()
	c, err := newCluster(ctx, o)
	if err != nil {
		if c == nil {
			return err
		}
		return errors.Join(err, c.remove(true))
	}
	say("the cluster is up after %v", time.Since(starting).Round(time.Millisecond))
	defer func() {
		c.close()
		err = errors.Join(err, c.remove(err != nil && ctx.Err() == nil || o.keep))
	}()
	story := chaos
	if o.scenario != "" {
		story = scenarios[o.scenario].tell
	}
	l, err := newLoad(c, random(o.seed, 1))
	if err != nil {
		return err
	}
	began := time.Now()
	if err := story(ctx, c, l); err != nil {
		return err
	}
	took := time.Since(began)
	e, err := l.evidence(ctx)
	if err != nil {
		return err
	}
	if e.Executions, err = ledger.Read(c.ledgers()); err != nil {
		return err
	}
	c.listen()
	r := newReport(c, e, verdict.Judge(e), took)
	r.table(os.Stderr)
	if err := r.write(os.Stdout); err != nil {
		return err
	}
	if r.verdict.OK() && len(r.mishaps) == 0 {
		if c.o.keep {
			return c.file(e)
		}
		return nil
	}
	return errors.Join(errBroken, c.file(e))
}

var errBroken = errors.New("promises were broken")

// file keeps the evidence, but for the ledgers, which are there.
func (c *cluster) file(e verdict.Evidence) error {
	e.Executions = nil
	b, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, "evidence.json"), b, 0o600)
}

// random returns a source of chance that is the same for the same seed, and
// another for each purpose.
func random(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

// chaos is the story in which everything happens at once.
func chaos(ctx context.Context, c *cluster, l *load) error {
	breaking, cancel := context.WithTimeout(ctx, c.o.duration)
	defer cancel()
	var wg sync.WaitGroup
	patience, giveUp := context.WithCancel(ctx)
	defer giveUp()
	wg.Go(func() { l.run(breaking, patience, random(c.o.seed, 2)) })
	wg.Go(func() { l.probe(breaking, patience) })
	wg.Go(func() { l.lots(breaking, patience, random(c.o.seed, 4)) })
	n := &nemesis{c: c, l: l, rng: random(c.o.seed, 3), patience: ctx}
	n.run(breaking)
	say("nothing is broken any more")
	if err := c.heal(ctx); err != nil {
		c.mishap("what was broken does not come back: %v", err)
	}
	settled := time.AfterFunc(c.o.settle, giveUp)
	wg.Wait()
	settled.Stop()
	l.wg.Wait()
	return ctx.Err()
}

// alarms are words that no agent's log may have.
var alarms = []string{"panic:", "fatal error:", "DATA RACE", "SIGBUS", "SIGSEGV"}

// listen looks for alarms in the logs.
func (c *cluster) listen() {
	for _, p := range c.nodes {
		log, err := os.ReadFile(p.logPath())
		if err != nil {
			c.mishap("log of %s: %v", p.name, err)
			continue
		}
		for line := range bytes.Lines(log) {
			if i := slices.IndexFunc(alarms, func(a string) bool { return bytes.Contains(line, []byte(a)) }); i >= 0 {
				c.mishap("log of %s: %.300s", p.name, bytes.TrimSpace(line))
			}
		}
	}
}

// wait returns when ask says so, or complains.
func wait(ctx context.Context, what string, timeout time.Duration, ask func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for !ask() {
		if !rest(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%s: not within %v", what, timeout)
		}
	}
	return nil
}
