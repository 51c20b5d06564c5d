//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

const (
	stormJobs  = 40               // that are due every few seconds
	stormCrowd = 160              // that are due at the same instants
	crowdEvery = 10 * time.Second // from one of these to the next
	stormEvery = 20 * time.Second // from one leader's loss to the next
	ahead      = 300 * time.Millisecond
)

// firestorm has jobs due every few seconds, and many together, while one leader
// after the other is killed, shortly before those of the crowd are due, when some of
// their runs have been recorded and none has begun. It holds the runs that there are
// in the end, and what was recorded as skipped, against the instants at which they
// were due.
func firestorm(ctx context.Context, c *cluster, l *load) error {
	whens := []string{"every 1s", "every 2s phase 1s", "every 5s", "*/3 * * * * *", "every 4s from start"}
	end := time.Now().Add(c.o.duration).UTC().Truncate(time.Second)
	for i := range stormJobs + stormCrowd {
		when := whens[i%len(whens)]
		if i >= stormJobs {
			when = "every " + crowdEvery.String()
		}
		spec := job.Spec{
			Name: fmt.Sprint("storm", i), Processor: "echo", Params: fmt.Sprint(i), Retry: job.Retry{Losses: 100}, Retain: job.Retention{Runs: -1},
			Schedule: trigger.Schedule{
				When: when, End: end, Overlap: trigger.OverlapAllow, Misfire: []trigger.Misfire{trigger.MisfireAll, trigger.MisfireSkip}[i%2],
			},
		}
		if _, err := c.client.PutJob(ctx, spec, 0); err != nil {
			return err
		}
	}
	n := &nemesis{c: c, l: l, rng: random(c.o.seed, 3), patience: ctx}
	for rest(ctx, min(beforeCrowd(time.Now().Add(stormEvery)), time.Until(end))) && time.Until(end) > 0 {
		if err := n.kill(ctx, "kill-leader", c.leader()); err != nil {
			return err
		}
	}
	jobs, err := settled(ctx, c)
	if err != nil {
		return err
	}
	runs, err := l.ended(ctx)
	if err != nil {
		return err
	}
	count, complaints := verdict.Fires(jobs, runs)
	say("%d fires of %d jobs: %d are a run each, %d were skipped with a reason; the latest run was made after %v",
		count.Due, len(jobs), count.Runs, count.Skipped, count.Latest.Round(time.Millisecond))
	errs := make([]error, 0, len(complaints))
	for _, k := range complaints {
		errs = append(errs, errors.New(k.String()))
	}
	return errors.Join(errs...)
}

// beforeCrowd returns how long it is until shortly before the last instant of the
// crowd that is not after a time.
func beforeCrowd(at time.Time) time.Duration {
	return time.Until(at.Truncate(crowdEvery).Add(-ahead))
}

// settled returns all jobs, when their triggers have ended and that is settled.
func settled(ctx context.Context, c *cluster) (jobs []job.Declared, err error) {
	err = wait(ctx, "the end of all triggers", c.o.settle, func() bool {
		jobs, err = c.client.Jobs(ctx, "", "", 1000)
		return err == nil && !slices.ContainsFunc(jobs, func(d job.Declared) bool { return !d.Fires.Ended })
	})
	return jobs, err
}
