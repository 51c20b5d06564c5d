package nodetest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
	"github.com/musterhq/muster/trigger"
)

// storm is jobs that are due at one instant, and what was executed of them.
type storm struct {
	due time.Time

	mu    sync.Mutex
	ran   map[string][]string // params, by job; guarded by mu
	early []string            // jobs that were executed before they were due; guarded by mu
}

// jobsInStorm is enough for their fires to be recorded ahead.
const jobsInStorm = 200

func (s *storm) process(_ context.Context, t *mapreduce.Task) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := job.RunID(t.Run).Job()
	s.ran[name] = append(s.ran[name], t.Params)
	if time.Now().Before(s.due) {
		s.early = append(s.early, name)
	}
	return nil, nil
}

func jobName(i int) string { return fmt.Sprintf("job%03d", i) }

func (s *storm) spec(i int, params string) job.Spec {
	return job.Spec{
		Name: jobName(i), Processor: "storm", Params: params,
		Schedule: trigger.Schedule{When: "at " + s.due.UTC().Format(time.RFC3339)},
	}
}

func (s *storm) run(i int) job.RunID { return job.FireID("default", jobName(i), s.due) }

// startStorm declares the jobs, and returns when one of their runs was recorded
// ahead.
func startStorm(t *testing.T, servers int) (*nodetest.Cluster, *storm) {
	t.Helper()
	s := &storm{due: time.Now().Add(4 * time.Second).Truncate(time.Second), ran: map[string][]string{}}
	c := nodetest.Start(t, servers, func(_ int, cfg *node.Config) {
		cfg.Servers = servers
		cfg.Processors = mapreduce.Registry{"storm": mapreduce.ProcessorFunc(s.process)}
	})
	var declares sync.WaitGroup
	for i := range jobsInStorm {
		declares.Go(func() {
			if _, err := c.Node(i%servers).PutJob(t.Context(), s.spec(i, "first"), 0); err != nil {
				t.Error(err)
			}
		})
	}
	declares.Wait()
	for {
		run, err := c.Node(0).Run(s.run(0)).Get(t.Context())
		if err == nil {
			if run.State == job.Pending && !run.NotBefore.Equal(s.due) {
				t.Fatalf("got %+v, want it to wait until %v", run, s.due)
			}
			return c, s
		}
		if time.Now().After(s.due.Add(time.Minute)) {
			t.Fatal(err)
		}
	}
}

// check demands that each job was executed in time: those that are named not at
// all, or as they were changed, and all others as they were declared.
func (s *storm) check(t *testing.T, c *nodetest.Cluster, n int, want map[int]string) {
	t.Helper()
	for i := range jobsInStorm {
		params, other := want[i]
		if other && params == "" {
			continue
		}
		if _, err := c.Node(n).Run(s.run(i)).Wait(t.Context()); err != nil {
			t.Errorf("%s: %v", jobName(i), err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range jobsInStorm {
		params, other := want[i]
		if !other {
			params = "first"
		}
		if got := s.ran[jobName(i)]; (params == "") != (len(got) == 0) || len(got) > 0 && got[0] != params {
			t.Errorf("%s was executed with %q, want %q", jobName(i), got, params)
		}
		d, err := c.Node(n).Job(t.Context(), "", jobName(i))
		if err != nil || (d.Fires.Runs == 1) != (params != "") {
			t.Errorf("%s: got %+v, %v, want one run unless it is paused", jobName(i), d.Fires, err)
		}
	}
	if len(s.early) > 0 {
		t.Errorf("%q were executed before they were due", s.early)
	}
}

// TestWhatIsRecordedAheadBeginsWhenItIsDue pauses and changes some jobs of a storm
// before it, and cancels a run.
func TestWhatIsRecordedAheadBeginsWhenItIsDue(t *testing.T) {
	c, s := startStorm(t, 1)
	n := c.Node(0)
	if err := n.PauseJob(t.Context(), "", jobName(1), "not now"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.PutJob(t.Context(), s.spec(2, "second"), 0); err != nil {
		t.Fatal(err)
	}
	if time.Now().After(s.due) {
		t.Skip("the machine was too slow to change jobs in time")
	}
	s.check(t, c, 0, map[int]string{1: "", 2: "second"})
}

// TestAStormOutlivesItsLeader kills the leader between the record of a storm and
// its instant.
func TestAStormOutlivesItsLeader(t *testing.T) {
	c, s := startStorm(t, 3)
	for i := range 3 {
		if c.Node(i).Leads() {
			c.Kill(i)
			s.check(t, c, (i+1)%3, nil)
			return
		}
	}
	t.Fatal("nobody leads")
}

// TestAStormOutlivesAMaster kills a node that does not lead, and holds runs of a
// storm.
func TestAStormOutlivesAMaster(t *testing.T) {
	c, s := startStorm(t, 3)
	for i := range 3 {
		if !c.Node(i).Leads() {
			c.Kill(i)
			s.check(t, c, (i+1)%3, nil)
			return
		}
	}
}
