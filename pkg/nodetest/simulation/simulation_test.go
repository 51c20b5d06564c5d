//go:debug randautoseed=0

package simulation_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/internal/transport/transporttest"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/nodetest/simulation"
)

var (
	seeds = flag.Int("seeds", 2, "how many random worlds to try")
	seed  = flag.Uint64("seed", 0, "the one random world to try")
	story = flag.String("story", "", "file to write to what the nodes log, as they do")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// TestPromisesAreKeptWhateverBreaks breaks whole clusters by chance while they
// work, lets them come to rest, and checks every promise.
func TestPromisesAreKeptWhateverBreaks(t *testing.T) {
	if *seed != 0 {
		simulate(t, *seed, time.Minute)
		return
	}
	for i := range *seeds {
		if i > 0 && testing.Short() {
			break
		}
		seed := rand.Uint64() | 1
		t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, seed, time.Minute) })
	}
}

// TestWorldsThatWentWrongOnceGoRight has the seeds of worlds in which something
// did. A seed repeats what is asked of a cluster and done to it, as long as the
// tables here stay as they are; what goroutines do in which order is not in its
// hands. So each has a test of what it found, too.
func TestWorldsThatWentWrongOnceGoRight(t *testing.T) {
	if testing.Short() || *seed != 0 {
		t.Skip("it takes some seconds for each")
	}
	for found, seed := range map[string]uint64{
		"callers that wake each other":   9807421457597001679,  // node.TestOnlyAnotherLeaderIsNews
		"journals that end too early":    7568308344410075109,  // transporttest: WhatIsDroppedUnreadHasNoEnd
		"outcomes that nobody waits for": 11336911061898983919, // TestAWorkerDoesNotWaitForAMasterThatIsGone
	} {
		t.Run(found, func(t *testing.T) { simulate(t, seed, time.Minute) })
	}
}

// simulate lives through the world of one seed, which is broken for a while.
func simulate(t *testing.T, seed uint64, rage time.Duration) {
	t.Helper()
	t.Logf("go test ./pkg/nodetest/simulation -run Whatever -seed %d", seed)
	cryptotest.SetGlobalRandom(t, seed)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	kept := new(bytes.Buffer)
	out := &shared{w: kept}
	if *story != "" {
		f, err := os.Create(*story)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out.w = f
	}
	began := time.Now()
	defer func() { // a bubble that fails ends its test
		t.Logf("which took %v", time.Since(began).Round(time.Millisecond))
		if t.Failed() && *story == "" {
			keep(t, kept.Bytes())
		}
	}()
	transporttest.Bubble(t, func(t *testing.T) {
		born := time.Now()
		w := begin(t, seed, out)
		w.live(rage)
		for _, promise := range simulation.Check(&w.story) {
			t.Error(promise)
		}
		t.Logf("%d submits, %d events, %d runs, %d sights in %v", len(w.story.Submits), len(w.story.Events), len(w.story.Rested), len(w.story.Sights), time.Since(born))
	})
}

// shared is a writer for several loggers.
type shared struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

// keep writes down what the nodes logged.
func keep(t *testing.T, log []byte) {
	name := filepath.Join(t.ArtifactDir(), "log.txt")
	if err := os.WriteFile(name, log, 0o600); err != nil {
		t.Error(err)
	}
	t.Logf("with -artifacts, what the nodes logged stays in %s", name)
}

// declare declares a job. A cluster that has just begun does not know yet what
// all servers understand.
func (w *world) declare(ctx context.Context, spec job.Spec) {
	for {
		_, err := w.c.Node(4).PutJob(ctx, spec, 0)
		if err == nil {
			return
		}
		if err := pass(ctx, 200*time.Millisecond); err != nil {
			w.t.Fatal(err)
		}
	}
}

// live has a cluster work while it is broken, and then come to rest.
func (w *world) live(rage time.Duration) {
	var giveUp, calm context.CancelFunc
	w.ctx, giveUp = context.WithCancel(w.t.Context())
	defer giveUp()
	raging, calm := context.WithCancel(w.ctx)
	defer calm()
	if rage > 0 {
		for _, spec := range []job.Spec{after, hear, tick} {
			w.declare(raging, spec)
		}
	}
	w.orders.Go(func() { w.sends(raging) })
	w.orders.Go(func() { w.pauses(raging) })
	w.orders.Go(func() { w.orderly(raging) })
	x := &nemesis{w: w, rng: w.chance("nemesis")}
	x.rage(rage)
	calm()
	w.finish(giveUp)
}
