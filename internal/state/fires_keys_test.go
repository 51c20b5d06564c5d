package state

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// firingOf is a settlement of d that makes the run of a fire under a key.
func firingOf(d job.Declared, fire int, key string) Firing {
	f := firing(d, due(fire+1), fire)
	f.Runs[0].Run.OverlapKey = key
	return f
}

// fireKeyed settles fires under the given keys, one after another, and returns the
// runs that are not over then.
func fireKeyed(t *testing.T, s *State, overlap trigger.Overlap, keys ...string) job.Declared {
	t.Helper()
	d := declare(t, s, job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "0 * * * *", Overlap: overlap, OverlapKey: "data.c"}})
	for i, key := range keys {
		_, err := s.Fire(t.Context(), firingOf(d, i+1, key))
		must(t, err)
		d, err = s.Job("d", "j")
		must(t, err)
	}
	return d
}

func TestOnlyFiresOfOneKeyOverlap(t *testing.T) {
	for overlap, want := range map[trigger.Overlap][]int{
		trigger.OverlapSkip:      {1, 2, 4}, // the runs that are not over
		trigger.OverlapQueueOne:  {2, 4, 5},
		trigger.OverlapQueueAll:  {1, 2, 3, 4, 5},
		trigger.OverlapCancelOld: {2, 4, 5},
		trigger.OverlapKillOld:   {2, 4, 5},
		trigger.OverlapAllow:     {1, 2, 3, 4, 5},
	} {
		t.Run(string(overlap), func(t *testing.T) {
			s := open(t, t.TempDir())
			d := fireKeyed(t, s, overlap, "a", "b", "a", "c", "a")
			var ids []job.RunID
			for _, n := range want {
				ids = append(ids, job.FireID("d", "j", due(n)))
			}
			if !slices.Equal(d.Fires.Active, ids) {
				t.Fatalf("got %q, want %q", d.Fires.Active, ids)
			}
			run, err := s.Run(ids[0])
			must(t, err)
			if run.OverlapKey == "" {
				t.Error("a run does not say its key")
			}
		})
	}
}

func TestAnEndMakesRoomForItsKeyAlone(t *testing.T) {
	s := open(t, t.TempDir())
	d := fireKeyed(t, s, trigger.OverlapSkip, "a", "b")
	_, err := s.Kill(t.Context(), d.Fires.Active[0], "enough") // that of a
	must(t, err)
	for i, key := range []string{"b", "a"} {
		d, err = s.Job("d", "j")
		must(t, err)
		_, err = s.Fire(t.Context(), firingOf(d, 3+i, key))
		must(t, err)
	}
	d, err = s.Job("d", "j")
	must(t, err)
	want := []job.RunID{job.FireID("d", "j", due(2)), job.FireID("d", "j", due(4))}
	if !slices.Equal(d.Fires.Active, want) || d.Fires.Skipped[job.CauseOverlap] != 1 {
		t.Errorf("got %q, and skipped %v", d.Fires.Active, d.Fires.Skipped)
	}
}

// A job whose key is taken away has runs of any key overlap again, and those
// of before a key was there belong to none.
func TestKeysComeAndGoWithTheSchedule(t *testing.T) {
	var js wire.JobStatus
	for i, key := range []uint64{0, 7, 8, 7} {
		js.Begun(job.RunID(fmt.Sprint(i)), key)
	}
	for key, want := range map[uint64][]job.RunID{0: {"0", "1", "2", "3"}, 7: {"1", "3"}, 8: {"2"}, 9: nil} {
		if got := js.Rivals(key); !slices.Equal(got, want) {
			t.Errorf("key %d: got %q, want %q", key, got, want)
		}
	}
	for _, id := range []job.RunID{"1", "3", "2"} {
		if !js.Over(id) || js.Over(id) {
			t.Fatalf("run %s is over twice, or not at all", id)
		}
	}
	if js.Keys != nil || !slices.Equal(js.Active, []job.RunID{"0"}) {
		t.Errorf("got %q with %d", js.Active, js.Keys)
	}
}

// A thousand runs with keys are within what is set aside for the record.
func TestKeysAreWithinTheBoundOfTheRecord(t *testing.T) {
	js := wire.JobStatus{Revision: 1 << 60, Seq: 1 << 60, Cursor: 1 << 62}
	for i := 0; activeSize(&js)+maxName <= maxActiveBytes && len(js.Active) < maxActive; i++ {
		js.Begun(job.RunID(fmt.Sprintf("%0*d", maxName-100*(i%5), i)), 1<<63+uint64(i))
	}
	for range maxRecent {
		now := time.Unix(1, 1)
		js.Skip(job.Skipped{Cause: job.CauseOverlap, From: now, To: now, At: now, Count: 1 << 40}, maxRecent)
	}
	b, err := wire.EncodeRecord(&js)
	must(t, err)
	if len(b) > maxJobStatus {
		t.Errorf("got %d bytes for %d runs, the bound is %d", len(b), len(js.Active), maxJobStatus)
	}
	if n := jobSize(jobName{}, &js); len(b) > n {
		t.Errorf("got %d bytes for %d runs, which were measured as %d at most", len(b), len(js.Active), n)
	}
}

// What the status of a job takes is not more than what is set aside for it, however
// little or much is in it.
func TestAStatusOfAJobIsNotLargerThanMeasured(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	number := func() int64 { return r.Int64() >> r.IntN(64) }
	text := func() string { return strings.Repeat("x", r.IntN(300)) }
	for range 1000 {
		js := wire.JobStatus{
			Revision: uint64(number()), Saved: number(), Chunks: int(number()), Overlap: job.OverlapQueueOne, Limit: int(number()), Again: true,
			Cursor: number(), Done: r.Uint64(), Wake: number(), Ended: true, Seq: r.Uint64(), Runs: int(number()), Last: job.RunID(text()),
			PausedAt: number(), ResumedAt: number(), EndedAt: number(), From: r.Uint64(), Heard: r.Uint64(), Deleted: true,
		}
		for range r.IntN(20) {
			js.Begun(job.RunID(text()), r.Uint64()>>r.IntN(64))
			js.Listens = append(js.Listens, text())
			js.Refuse(wire.CauseCount{Cause: text(), N: int(number())})
			js.Skip(job.Skipped{Cause: text(), From: time.Unix(0, number()), To: time.Unix(0, number()), At: time.Unix(0, number()), Count: int(number()), AtLeast: true}, maxRecent)
		}
		b, err := wire.EncodeRecord(&js)
		must(t, err)
		if n := jobSize(jobName{}, &js); len(b) > n {
			t.Fatalf("got %d bytes, which were measured as %d at most: %+v", len(b), n, js)
		}
	}
}
