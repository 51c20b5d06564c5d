package simulation_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
	"github.com/musterhq/muster/pkg/nodetest/simulation"
	"github.com/musterhq/muster/sharding"
)

const (
	servers = 3
	members = 5
)

// world is a cluster in a bubble, what is done to it and what it says.
type world struct {
	t      *testing.T
	seed   uint64
	c      *nodetest.Cluster
	dirs   [members]string
	log    *slog.Logger
	ctx    context.Context // ends when nobody waits any longer
	orders sync.WaitGroup
	held   mapreduce.ProcessorFunc // "held", for those who need it

	mu    sync.Mutex
	up    [members]*node.Node // nil while it is down; guarded by mu
	seq   int                 // the last moment; guarded by mu
	story simulation.Story    // guarded by mu
	saved map[string]bool     // the doomed runs that are no more; guarded by mu
}

// begin starts a cluster that logs to out.
func begin(t *testing.T, seed uint64, out io.Writer) *world {
	w := &world{t: t, seed: seed, saved: map[string]bool{}, log: logger(out, slog.LevelDebug)}
	w.story.Ends = map[job.RunID]simulation.End{}
	w.story.Executed = map[string]map[string]int{}
	dir := t.TempDir()
	w.c = nodetest.Start(t, members, func(i int, cfg *node.Config) {
		w.dirs[i] = filepath.Join(dir, cfg.Name)
		cfg.Dir = w.dirs[i]
		cfg.Processors = w.processors()
		cfg.Slots, cfg.FenceAfter, cfg.JoinTimeout = 4, simulation.FenceAfter, -1
		cfg.Logger = logger(out, slog.LevelInfo)
		cfg.Join = nil
		for j := range members { // so that any may be the first to come back
			if j != i {
				cfg.Join = append(cfg.Join, fmt.Sprintf("10.0.0.%d:7946", j+1))
			}
		}
		if i < servers {
			cfg.Servers = servers
		}
	})
	for i := range members {
		w.up[i] = w.c.Node(i)
	}
	return w
}

func logger(out io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
}

// chance returns the generator of one actor of the world, whatever the others
// do.
func (w *world) chance(actor string) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, sharding.Hash([]byte(actor))))
}

// moment returns a number that is above all before.
func (w *world) moment() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	return w.seq
}

// tell writes something into the story.
func (w *world) tell(f func(s *simulation.Story)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.story)
}

// node returns one that is up, by chance, or nil.
func (w *world) node(rng *rand.Rand) *node.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := rng.IntN(members)
	for i := range members {
		if n := w.up[(first+i)%members]; n != nil {
			return n
		}
	}
	return nil
}

func (w *world) set(i int, n *node.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up[i] = n
}

func (w *world) get(i int) *node.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.up[i]
}

// leader returns the number of a node that leads, or -1.
func (w *world) leader() int {
	for i := range members {
		if n := w.get(i); n != nil && n.Leads() {
			return i
		}
	}
	return -1
}

// kill kills nodes, all at once: those that are left can do nothing until the
// last is dead.
func (w *world) kill(nodes ...int) {
	for _, i := range nodes {
		w.set(i, nil)
		w.c.Isolate(i)
	}
	for _, i := range nodes {
		w.c.Kill(i)
	}
}

func (w *world) restart(i int) {
	w.c.Restart(i)
	w.set(i, w.c.Node(i))
}

// rest waits until all that was asked for is over, as far as that happens.
func (w *world) rest(patience time.Duration) {
	over := make(chan struct{})
	go func() { w.orders.Wait(); close(over) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
		w.log.Error("not all has come to its end", slog.Duration("after", patience))
	}
}

// finish lets everything come to rest and be killed, and writes down what is
// there before and after. Whoever still waits is told to give up.
func (w *world) finish(giveUp context.CancelFunc) {
	w.c.Settle()
	w.rest(5 * time.Minute)
	giveUp()
	w.orders.Wait()
	w.declared()
	w.story.Rested = w.runs()
	for i := range members {
		if w.c.Node(i).Leads() {
			w.story.Leaders++
		}
	}
	w.kill(0, 1, 2, 3, 4)
	w.story.Copies = map[string]map[string]string{}
	for i := range servers {
		w.story.Copies[fmt.Sprintf("n%d", i)] = w.copyOf(i)
	}
	w.c.Heal()
	for i := range members {
		w.restart(i)
	}
	w.c.Settle()
	w.story.Risen = w.runs()
}

// declared ends the triggers that have times, and writes down what became of the
// fires of all when everything that follows from the last of them has happened.
func (w *world) declared() {
	n := w.c.Node(0)
	jobs, err := n.Jobs(w.t.Context(), "", "", 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range jobs {
		if !strings.HasPrefix(d.Spec.Schedule.When, "every ") {
			continue
		}
		if err := n.PauseJob(w.t.Context(), "", d.Spec.Name, "the count begins"); err != nil {
			w.t.Fatal(err)
		}
	}
	_ = pass(w.t.Context(), 30*time.Second) // whoever is behind catches up
	if w.story.Jobs, err = n.Jobs(w.t.Context(), "", "", 0); err != nil {
		w.t.Fatal(err)
	}
}

// runs returns all runs with their histories.
func (w *world) runs() []job.Run {
	n := w.c.Node(members - 1)
	list, err := n.Runs(w.t.Context(), "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range list {
		if list[i], err = n.Run(list[i].ID).Get(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	return list
}

// copyOf returns what a server that is down has of the state: all records but
// the one that says how much of the log it has read.
func (w *world) copyOf(i int) map[string]string {
	kv, err := store.Open(filepath.Join(w.dirs[i], "state", "state"), store.Options{Reserve: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	records := map[string]string{}
	for p, err := range kv.Scan(nil) {
		if err != nil {
			w.t.Fatal(err)
		}
		if string(p.Key) != "c" {
			records[string(p.Key)] = fmt.Sprintf("%x", sha256.Sum256(p.Value))
		}
	}
	if err := kv.Close(); err != nil {
		w.t.Fatal(err)
	}
	return records
}
