package nodetest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// logs returns the lines of a run as a node sees them.
func logs(t *testing.T, n *node.Node, id job.RunID, q job.LogQuery) []string {
	t.Helper()
	var all []string
	for l, err := range n.Run(id).Logs(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l.Text)
	}
	return all
}

// talker logs what it is told to, and says when it has.
type talker struct{ next, said chan string }

func newTalker() *talker { return &talker{make(chan string), make(chan string)} }

func (p *talker) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	for {
		select {
		case text, ok := <-p.next:
			if !ok {
				return nil, nil
			}
			t.Log.Info(text) //nolint:sloglint // the test reads it again
			p.said <- text
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (p *talker) say(text string) {
	p.next <- text
	<-p.said
}

func TestLinesSurviveTheNodeThatWroteThemAndAServer(t *testing.T) {
	p := newTalker()
	c := three(t, 4, mapreduce.Registry{"talks": p}, nil)
	r, err := c.Node(0).Submit(t.Context(), job.Spec{Processor: "talks", Placement: job.Placement{Nodes: []string{"n3"}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		p.say(fmt.Sprint(i))
	}
	want := logs(t, c.Node(0), r.ID(), job.LogQuery{}) // which has it hand them on
	if len(want) != 10 {
		t.Fatalf("got %q", want)
	}
	c.Kill(3)
	for i := range 3 {
		c.Kill(i)
		for _, j := range []int{(i + 1) % 3, (i + 2) % 3} {
			if got := logs(t, c.Node(j), r.ID(), job.LogQuery{}); !slices.Equal(got, want) {
				t.Errorf("without n%d: n%d has %q, want %q", i, j, got, want)
			}
		}
		c.Restart(i)
		c.Settle()
	}
	if got := logs(t, c.Node(0), r.ID(), job.LogQuery{}); !slices.Equal(got, want) {
		t.Errorf("got %q when all are back, want %q", got, want)
	}
}

// TestAServerThatWasAwayGetsWhatItMissed cuts a server off from the worker, and
// later takes from the others what they have.
func TestAServerThatWasAwayGetsWhatItMissed(t *testing.T) {
	p := newTalker()
	var dirs [4]string
	c := three(t, 4, mapreduce.Registry{"talks": p}, func(i int, cfg *node.Config) { dirs[i] = cfg.Dir })
	r, err := c.Node(0).Submit(t.Context(), job.Spec{Processor: "talks", Placement: job.Placement{Nodes: []string{"n3"}}})
	if err != nil {
		t.Fatal(err)
	}
	away := (leader(t, c, 3) + 1) % 3
	p.say("before")
	logs(t, c.Node(3), r.ID(), job.LogQuery{})
	c.Cut(3, away)
	p.say("meanwhile")
	if got := logs(t, c.Node(3), r.ID(), job.LogQuery{}); !slices.Equal(got, []string{"before", "meanwhile"}) {
		t.Fatalf("got %q", got)
	}
	c.Heal()
	p.say("after")
	want := []string{"before", "meanwhile", "after"}
	within(t, 30*time.Second, func() bool { return has(t, dirs[away], want...) })
	close(p.next)
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if i == away {
			continue
		}
		c.Kill(i)
		if err := os.RemoveAll(filepath.Join(dirs[i], "logs")); err != nil {
			t.Fatal(err)
		}
		c.Restart(i)
		c.Settle()
	}
	if got := logs(t, c.Node(3), r.ID(), job.LogQuery{}); !slices.Equal(got, want) {
		t.Errorf("got %q of the server that was away, want %q", got, want)
	}
}

// has reports whether a server has appended all of texts.
func has(t *testing.T, dir string, texts ...string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "logs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(string(all), text) })
}

// within waits until something holds.
func within(t *testing.T, d time.Duration, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(d); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it does not hold after %v", d)
		}
	}
}

// TestAFollowerOutlivesLeaderMasterAndWorker kills each of them in turn.
func TestAFollowerOutlivesLeaderMasterAndWorker(t *testing.T) {
	p := newTalker()
	c := three(t, 5, mapreduce.Registry{"talks": p}, func(i int, cfg *node.Config) { cfg.Client = i == 4 })
	client := c.Node(4)
	r, err := client.Submit(t.Context(), job.Spec{Processor: "talks"})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var nodes []string
	came := make(chan string, 100)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer close(came)
		for l, err := range r.Logs(t.Context(), job.LogQuery{Follow: true}) {
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			nodes = append(nodes, l.Node)
			mu.Unlock()
			came <- l.Text
		}
	})
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-came:
			if got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("there is no %q", want)
		}
	}
	for i := range 3 {
		text := fmt.Sprint("life ", i)
		p.say(text)
		expect(text)
		mu.Lock()
		on := nodes[len(nodes)-1]
		mu.Unlock()
		var kill int
		switch i {
		case 0: // the worker
			kill = int(strings.TrimPrefix(on, "n")[0] - '0')
		case 1: // the leader
			kill = leader(t, c, 4)
		default: // the master
			run, err := r.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for j := range 4 {
				if c.Node(j).ID() == run.Master {
					kill = j
				}
			}
		}
		c.Kill(kill)
		c.Restart(kill)
		c.Settle()
	}
	p.say("last")
	expect("last")
	close(p.next)
	expect("")
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}
