package nodetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
	"github.com/musterhq/muster/trigger"
)

// TestEachFireMakesOneRunWhateverBecomesOfTheLeader declares jobs that are due
// every second on three servers, takes the leader away, and accounts for every
// fire by what the nodes tell.
func TestEachFireMakesOneRunWhateverBecomesOfTheLeader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the seconds that its fires are apart")
	}
	const jobs = 20
	c := nodetest.Start(t, 3, func(_ int, cfg *node.Config) {
		cfg.Servers = 3
		cfg.Processors = mapreduce.Registry{"tick": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { return nil, nil })}
	})
	names := make([]string, jobs)
	for i := range names {
		names[i] = fmt.Sprintf("tick%02d", i)
		spec := job.Spec{Name: names[i], Processor: "tick", Schedule: trigger.Schedule{When: "every 1s", Overlap: trigger.OverlapAllow}}
		if _, err := c.Node(i%3).PutJob(t.Context(), spec, 0); err != nil {
			t.Fatal(err)
		}
	}
	await := func(n *node.Node, until time.Time) {
		for {
			d, err := n.Job(t.Context(), "", names[0])
			if err != nil && !errors.Is(err, node.ErrNoLeader) {
				t.Fatal(err)
			}
			if d.Fires.Cursor.After(until) {
				return
			}
		}
	}
	await(c.Node(0), time.Now().Add(time.Second))
	for i := range 3 {
		if c.Node(i).Leads() {
			c.Kill(i)
			at := time.Now()
			await(c.Node((i+1)%3), at.Add(2*time.Second))
			c.Restart(i)
			break
		}
	}
	for _, name := range names {
		if err := c.Node(0).PauseJob(t.Context(), "", name, "the count begins"); err != nil {
			t.Fatal(err)
		}
		d, err := c.Node(0).Job(t.Context(), "", name)
		if err != nil {
			t.Fatal(err)
		}
		account(t, c.Node(0), &d)
	}
}

// account checks that every fire up to the cursor is a run or was skipped.
func account(t *testing.T, n *node.Node, d *job.Declared) {
	t.Helper()
	runs, skipped := 0, 0
	for at := d.Saved.Truncate(time.Second).Add(time.Second); !at.After(d.Fires.Cursor); at = at.Add(time.Second) {
		switch run, err := n.Run(job.FireID("default", d.Spec.Name, at)).Get(t.Context()); {
		case errors.Is(err, node.ErrNoRun):
			skipped++
		case err != nil:
			t.Fatal(err)
		case !run.Fire.Equal(at):
			t.Errorf("run %s is of %v", run.ID, run.Fire)
		default:
			runs++
		}
	}
	told := 0
	for _, k := range d.Fires.Skipped {
		told += k
	}
	if runs != d.Fires.Runs || skipped != told {
		t.Errorf("%s: there are %d runs and %d fires without; the job tells of %d runs and %v", d.Spec.Name, runs, skipped, d.Fires.Runs, d.Fires.Skipped)
	}
}
