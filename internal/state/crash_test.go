package state

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// childDir makes the test binary a writer to be killed.
const childDir = "MUSTER_STATE_CHILD"

const childRuns = 6

func crashRun(i int) job.RunID { return job.RunID(fmt.Sprintf("d/j@%d", i)) }

func crashEntry(run int, seq uint64) []byte {
	return fmt.Appendf(make([]byte, 0, 4<<10), "%d/%d%*s", run, seq, 1000*(run%3), "")
}

// child writes to the state in dir for as long as it lives and tells what was
// acknowledged: "a run seq" for an entry, "e run epoch" for a new master.
func child(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, config(dir))
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	tell := func(kind string, run int, n uint64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(kind, run, n)
	}
	var wg sync.WaitGroup
	for i := range childRuns {
		wg.Go(func() {
			id := crashRun(i)
			run, err := s.Run(id)
			if err != nil {
				run = newRun(string(id))
				run.Master = "first"
				if run, err = s.Create(ctx, run, nil); err != nil {
					panic(err)
				}
			}
			if run, err = s.Assign(ctx, id, run.Epoch, "next", ""); err != nil {
				panic(err)
			}
			tell("e", i, run.Epoch)
			next := uint64(0)
			for range s.Journal(id, 0) {
				next++
			}
			for ; ; next++ {
				if err := s.Append(ctx, id, run.Epoch, next, [][]byte{crashEntry(i, next)}); err != nil {
					panic(err)
				}
				tell("a", i, next)
				if i == 0 && next%50 == 49 { // with snapshots and cuts of the log in between
					if err := s.snapshot(); err != nil {
						panic(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestAcknowledgedWritesSurviveKill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var acked [childRuns]uint64  // entries of each run
	var epochs [childRuns]uint64 // of each run
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for left := 1 + chance.IntN(500); lines.Scan(); left-- {
			if left == 0 {
				must(t, cmd.Process.Kill()) // what is in the pipe was acknowledged too
			}
			var kind string
			var run int
			var n uint64
			if _, err := fmt.Sscan(lines.Text(), &kind, &run, &n); err != nil {
				continue // the last line may be half of one
			}
			if kind == "e" {
				epochs[run] = max(epochs[run], n)
			} else {
				acked[run] = max(acked[run], n+1)
			}
		}
		_ = cmd.Wait() // it was killed

		s := open(t, dir)
		for i := range childRuns {
			id, have := crashRun(i), uint64(0)
			if acked[i]+epochs[i] == 0 {
				continue
			}
			for e, err := range s.Journal(id, 0) {
				must(t, err)
				if !bytes.Equal(e.Data, crashEntry(i, e.Seq)) {
					t.Fatalf("round %d: entry %d of run %d is not what was written", round, e.Seq, i)
				}
				have++
			}
			if have < acked[i] {
				t.Fatalf("round %d: run %d has %d entries, %d were acknowledged", round, i, have, acked[i])
			}
			run, err := s.Run(id)
			must(t, err)
			if run.Epoch < epochs[i] {
				t.Fatalf("round %d: run %d has epoch %d, %d was acknowledged", round, i, run.Epoch, epochs[i])
			}
			refused(t, s.Append(t.Context(), id, run.Epoch-1, have, blobs("zombie")), ErrFenced)
		}
		closed(t, s)
	}
}
