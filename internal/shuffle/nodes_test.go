package shuffle

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/pkg/job"
)

// cluster is shuffles that fetch from each other over loopback.
type cluster struct {
	names      []string
	shuffles   map[string]*Shuffle
	transports map[string]*transport.Transport

	mu    sync.Mutex
	addrs map[string]string // guarded by mu
}

func newCluster(t *testing.T, memory int64, names ...string) *cluster {
	c := &cluster{names: names, shuffles: make(map[string]*Shuffle), transports: make(map[string]*transport.Transport), addrs: make(map[string]string)}
	log := slog.New(slog.DiscardHandler)
	for _, name := range names {
		tr, err := transport.Listen(transport.Config{ID: name, Logger: log, Resolve: c.resolve})
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Config{Dir: t.TempDir(), Memory: memory, Node: name, Transport: tr, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		s.pause = func(int) time.Duration { return time.Millisecond }
		c.mu.Lock()
		c.addrs[name] = tr.Addr()
		c.mu.Unlock()
		c.shuffles[name], c.transports[name] = s, tr
		t.Cleanup(func() {
			s.Close()
			tr.Close()
			checkClean(t, s)
		})
	}
	return c
}

func (c *cluster) resolve(id string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr, ok := c.addrs[id]
	return addr, ok
}

// spread writes tasks over the nodes and returns where they are.
func (c *cluster) spread(t *testing.T, parts int, tasks [][]pair) []job.Source {
	sources := make([]job.Source, len(c.names))
	for i, n := range c.names {
		sources[i].Node = n
	}
	for i, pairs := range tasks {
		at := i % len(c.names)
		write(t, c.shuffles[c.names[at]], i, parts, nil, pairs)
		sources[at].Maps = append(sources[at].Maps, outputID(i, 1))
	}
	return sources
}

func TestEveryNodeReadsTheSameOverTheNetwork(t *testing.T) {
	rng := chance(t)
	const parts = 3
	for _, memory := range []int64{32 << 10, 64 << 20} {
		c := newCluster(t, memory, "a", "b", "c")
		tasks := make([][]pair, 12)
		for i := range tasks {
			tasks[i] = randomPairs(rng, 800, 300, randomValue(rng, 200_000))
		}
		sources := c.spread(t, parts, tasks)
		var wg sync.WaitGroup
		for part := range parts {
			var in [][]pair
			for _, task := range tasks {
				in = append(in, inPart(task, parts, part))
			}
			want := oracle(in...)
			for _, name := range c.names {
				wg.Go(func() {
					r, err := c.shuffles[name].Read(t.Context(), ReadConfig{Run: testRun, Partition: part, Sources: sources})
					if err != nil {
						t.Error(err)
						return
					}
					got, err := collect(r)
					if err == nil {
						err = equalGroups(got, want)
					}
					if err != nil {
						t.Errorf("memory %d, partition %d on %s: %v", memory, part, name, err)
					}
					if r.Stats().FetchedBytes == 0 {
						t.Errorf("nothing was fetched: %+v", r.Stats())
					}
				})
			}
		}
		wg.Wait()
	}
}

func TestANodeThatIsGoneCostsItsMapOutputsOnly(t *testing.T) {
	c := newCluster(t, 1<<20, "a", "b", "c")
	tasks := make([][]pair, 9)
	for i := range tasks {
		tasks[i] = []pair{{fmt.Sprint(i), "v"}}
	}
	sources := c.spread(t, 1, tasks)
	sources[2].Maps = append(sources[2].Maps, outputID(20, 1))
	c.transports["b"].Close()
	if got, want := lostTasks(t, c.shuffles["a"], sources), []int{1, 4, 7, 20}; !slices.Equal(got, want) {
		t.Errorf("lost %v, want %v", got, want)
	}
}
