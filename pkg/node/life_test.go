package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func TestAKeyNamesOneRunWhileItLives(t *testing.T) {
	w := newWaits()
	n := one(t, mapreduce.Registry{"waits": w, "echo": echo})
	spec := job.Spec{Name: "j", Processor: "waits"}
	first := submit(t, n, spec, node.Key("order 7"))
	<-w.at
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if again, err := n.Submit(t.Context(), spec, node.Key("order 7")); err != nil || again.ID() != first.ID() {
				t.Errorf("got another run or %v, want %s", err, first.ID())
			}
		})
	}
	wg.Wait()
	other := submit(t, n, spec, node.Key("order 8"))
	if other.ID() == first.ID() {
		t.Error("another key has the same run")
	}
	if err := first.Stop(t.Context(), "enough"); err != nil {
		t.Fatal(err)
	}
	next := submit(t, n, spec, node.Key("order 7"))
	if next.ID() == first.ID() {
		t.Error("the key is taken after the end of its run")
	}
	for _, r := range []*node.Run{other, next} { // they have the slots
		if err := r.Stop(t.Context(), "enough"); err != nil {
			t.Fatal(err)
		}
	}
	spec.Processor = "echo"
	kept := submit(t, n, spec, node.KeyFor("order 9", time.Hour))
	if _, err := kept.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := submit(t, n, spec, node.KeyFor("order 9", time.Hour)); again.ID() != kept.ID() {
		t.Errorf("got %s, want the run that has the key for an hour", again.ID())
	}
}

func TestAStoppedRunIsOverAtOnceAndStaysSo(t *testing.T) {
	stubborn := make(chan struct{})
	began := make(chan struct{})
	n := one(t, mapreduce.Registry{"stubborn": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
		close(began)
		<-stubborn
		return "late", nil
	}), "echo": echo})
	r := submit(t, n, job.Spec{Processor: "stubborn"})
	<-began
	if err := r.Stop(t.Context(), "now"); err != nil {
		t.Fatal(err)
	}
	run, err := r.Get(t.Context())
	if err != nil || run.State != job.Canceled || run.Reason != "now" {
		t.Fatalf("got %v %q, %v", run.State, run.Reason, err)
	}
	close(stubborn)
	stillWorks(t, n)
	if after, err := r.Get(t.Context()); err != nil || after.State != job.Canceled || !after.Finished.Equal(run.Finished) {
		t.Errorf("got %+v, %v after a late report", after, err)
	}
}

// picky fails the tasks that it is told to and counts how often each ran.
type picky struct {
	mu  sync.Mutex
	ran map[int]int
	bad map[int]bool
}

func (p *picky) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ran[t.Shard.Index]++
	if p.bad[t.Shard.Index] {
		return nil, mapreduce.Permanent(errors.New("no luck"))
	}
	return t.Shard.Index, nil
}

func TestARetryRunsWhatDidNotSucceedAndKeepsHistory(t *testing.T) {
	p := &picky{ran: map[int]int{}, bad: map[int]bool{3: true, 4: true}}
	n := start(t, node.Config{Slots: 1, Logger: quiet, Processors: mapreduce.Registry{"picky": p}})
	spec := job.Spec{Processor: "picky", Mode: job.Sharded, Shards: 5, Tolerate: job.Tolerance{Count: 1}}
	first := submit(t, n, spec)
	fails(t, first, job.Failed, "no luck")
	p.mu.Lock()
	p.bad = nil
	p.mu.Unlock()

	second, err := first.Retry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := first.ID() + "#2"; second.ID() != want {
		t.Errorf("got %s, want %s", second.ID(), want)
	}
	out, err := second.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := values[int](t, out)
	slices.Sort(got)
	if !slices.Equal(got, []int{0, 1, 2, 3, 4}) {
		t.Errorf("got %v, want the results of all tasks, whichever run they are of", got)
	}
	p.mu.Lock()
	if p.ran[0]+p.ran[1]+p.ran[2] != 3 {
		t.Errorf("what had succeeded ran again: %v", p.ran)
	}
	p.mu.Unlock()
	if again, err := first.Retry(t.Context()); err != nil || again.ID() != second.ID() {
		t.Errorf("got %v, asking again, want the attempt that there is", err)
	}
	if old, err := first.Get(t.Context()); err != nil || old.State != job.Failed {
		t.Errorf("the first attempt is %v, %v", old.State, err)
	}
	if _, err := second.Retry(t.Context()); err == nil {
		t.Error("a run that succeeded was tried again")
	}
	run, err := second.Get(t.Context())
	if err != nil || run.Attempt != 2 || run.Of != first.ID() || len(run.History) == 0 {
		t.Errorf("got %+v, %v", run, err)
	}
}

func TestRunsWaitForTheirTurnAndSayForWhat(t *testing.T) {
	w := newWaits()
	n := one(t, mapreduce.Registry{"waits": w})
	spec := job.Spec{Name: "j", Processor: "waits", MaxRuns: 1, MaxQueued: 2}
	first := submit(t, n, spec)
	<-w.at
	low := submit(t, n, spec)
	spec.Priority = 5
	high := submit(t, n, spec)
	p, err := low.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	says(t, errors.New(p.Waiting), "waits", "MaxRuns is 1")
	_, err = n.Submit(t.Context(), spec)
	says(t, err, "2 runs of job default/j wait", "limit of the job is 2")
	if err := first.Stop(t.Context(), "next"); err != nil {
		t.Fatal(err)
	}
	<-w.at
	if run, err := high.Get(t.Context()); err != nil || run.State != job.Running {
		t.Errorf("the run of the higher priority is %v, %v", run.State, err)
	}
	if run, err := low.Get(t.Context()); err != nil || run.State != job.Pending {
		t.Errorf("the run of the lower priority is %v, %v", run.State, err)
	}
	if err := low.Cancel(t.Context(), "not needed"); err != nil {
		t.Fatal(err)
	}
	fails(t, low, job.Canceled, "not needed")
	if err := high.Stop(t.Context(), "seen"); err != nil {
		t.Fatal(err)
	}
}

func TestAPausedJobKeepsItsRunsWaiting(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	if err := n.PauseJob(t.Context(), "", "j", "holidays"); err != nil {
		t.Fatal(err)
	}
	r := submit(t, n, job.Spec{Name: "j", Processor: "echo"})
	run, err := r.Get(t.Context())
	if err != nil || run.State != job.Pending {
		t.Fatalf("got %v, %v", run.State, err)
	}
	says(t, errors.New(run.Reason), "paused", "holidays")
	if err := n.ResumeJob(t.Context(), "", "j"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestARunBeginsWhenItsTimeHasCome(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	at := time.Now().Add(time.Second)
	r := submit(t, n, job.Spec{Processor: "echo"}, node.NotBefore(at))
	run, err := r.Get(t.Context())
	if err != nil || run.State != job.Pending {
		t.Fatalf("got %v, %v", run.State, err)
	}
	says(t, errors.New(run.Reason), "waits until")
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if run, err = r.Get(t.Context()); err != nil || run.Finished.Before(at) {
		t.Errorf("it ended at %v, before %v", run.Finished, at)
	}
}

func TestADrainedNodeHandsItsWorkOver(t *testing.T) {
	var drained atomic.Pointer[string]
	gate := make(chan struct{})
	c := pool(t, 2, mapreduce.Registry{"where": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		if t.Shard.Index < 4 {
			<-gate
		} else if name := drained.Load(); name != nil && *name == t.Node {
			return nil, fmt.Errorf("it began on %s, which was drained", t.Node)
		}
		return t.Node, nil
	})})
	r, err := c.Node(0).Submit(t.Context(), job.Spec{Processor: "where", Mode: job.Sharded, Shards: 40, Retry: job.Retry{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	name := c.Node(1).Name()
	done := make(chan error, 1)
	go func() { done <- c.Node(0).Drain(t.Context(), name) }()
	close(gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	drained.Store(&name)
	if _, err := r.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.Node(1).Do(t.Context(), job.Spec{Processor: "where", Mode: job.Sharded, Shards: 4}); err != nil {
		t.Errorf("a drained node can't submit: %v", err)
	}
	drained.Store(nil)
	if err := c.Node(0).Undrain(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	says(t, c.Node(0).Drain(t.Context(), "nobody"), `"nobody"`, "see Members")
}

func TestAClientIsNotTakenForTheNodeOfItsName(t *testing.T) {
	n := start(t, node.Config{Name: "host", Logger: quiet})
	client := start(t, node.Config{Name: "host", Logger: quiet, Client: true, Join: []string{n.Gossip()}})
	if err := client.Drain(t.Context(), "host"); err != nil {
		t.Error(err)
	}
	if err := client.Undrain(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("got %v, want that nobody is called so", err)
	}
}
