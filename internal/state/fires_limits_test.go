package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

func hourly(overlap trigger.Overlap, limit int) job.Spec {
	return job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "0 * * * *", Overlap: overlap, OverlapLimit: limit}}
}

func settled(t testing.TB, s *State) job.Declared {
	t.Helper()
	d, err := s.Job("d", "j")
	must(t, err)
	return d
}

func TestAFireWithMoreInputThanACommandHasIsMadeWhole(t *testing.T) {
	s := open(t, t.TempDir())
	d := declare(t, s, hourly("", 0))
	f := firing(d, due(2), 1)
	for i := range 5 {
		f.Runs[0].Chunks = append(f.Runs[0].Chunks, bytes.Repeat([]byte{byte(i)}, 1<<20))
	}
	for range 2 { // an answer that was lost
		_, err := s.Fire(t.Context(), f)
		must(t, err)
	}
	for i, want := range f.Runs[0].Chunks {
		got, err := s.Entry(f.Runs[0].Run.ID, uint64(i))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("entry %d of the run differs", i)
		}
	}
	// One that meets a run leaves nothing behind.
	f = firing(settled(t, s), due(3), 2)
	f.Runs[0].Chunks = [][]byte{make([]byte, 2<<20)}
	_, err := s.Fire(t.Context(), f)
	must(t, err)
	for p, err := range s.kv.Scan([]byte("g")) {
		must(t, err)
		t.Errorf("record %q is left", p.Key)
	}
	// And what was staged by another try, with another plan, is no obstacle.
	must(t, s.Stage(t.Context(), job.FireID("d", "j", due(3)), 0, []byte("other")))
	_, err = s.Kill(t.Context(), job.FireID("d", "j", due(1)), "over")
	must(t, err)
	f = firing(settled(t, s), due(4), 3)
	f.Runs[0].Chunks = [][]byte{bytes.Repeat([]byte("x"), 2<<20)}
	_, err = s.Fire(t.Context(), f)
	must(t, err)
	if got, err := s.Entry(f.Runs[0].Run.ID, 0); err != nil || !bytes.Equal(got, f.Runs[0].Chunks[0]) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
}

// applied carries out commands, one an entry.
func applied(t testing.TB, f *fsm, index *uint64, c wire.Command) result {
	t.Helper()
	*index++
	r, ok := f.Apply(&raft.Log{Index: *index, Type: raft.LogCommand, Data: entryOf(t, c)}).([]result)
	if !ok {
		t.Fatalf("%T stopped everything: %v", c, f.failure())
	}
	return r[0]
}

// beside makes n runs of job d/j go on beside each other, as far as they may.
func beside(t testing.TB, f *fsm, index *uint64, n int) *wire.PutJob {
	t.Helper()
	put := &wire.PutJob{Namespace: "d", Name: "j", At: 1, Overlap: job.OverlapAllow, Limit: 100_000, Record: []byte("spec")}
	applied(t, f, index, put)
	for i := 0; n > 0; i++ {
		c := &wire.FireJob{Namespace: "d", Name: "j", Revision: 1, Seq: uint64(1 + i), Cursor: int64(2 + i), At: 5}
		for k := range min(n, 60) {
			id := job.RunID(fmt.Sprintf("d/j@20260329T%06d.%03dZ", i, k))
			c.Runs = append(c.Runs, &wire.CreateRun{Run: id, Namespace: "d", Job: "j", Created: 5, Fired: true, Record: []byte("run")})
		}
		if r := applied(t, f, index, c); r.err != nil {
			t.Fatal(r.err)
		}
		n -= len(c.Runs)
	}
	return put
}

func statusOf(t testing.TB, f *fsm) *wire.JobStatus {
	t.Helper()
	js, err := readJobStatus(f.kv, "d", "j")
	must(t, err)
	return js
}

// Many runs go on beside each other; then they are to make way for one.
func TestManyRunsOfOneTriggerStopNothing(t *testing.T) {
	f := openFSM(t, openKV(t, t.TempDir()))
	index := uint64(0)
	put := beside(t, f, &index, 24_000)
	js := statusOf(t, f)
	if len(js.Active) != maxActive || js.Runs != maxActive || len(js.Causes) != 1 || js.Causes[0].N != 24_000-maxActive {
		t.Fatalf("got %d active of %d runs, skipped %v", len(js.Active), js.Runs, js.Causes)
	}
	invariants(t, f.kv)
	put.Overlap, put.Record = job.OverlapKillOld, []byte("other")
	applied(t, f, &index, put)
	for i := range 3 {
		js = statusOf(t, f)
		id := job.RunID(fmt.Sprintf("d/j@new%d", i))
		r := applied(t, f, &index, &wire.FireJob{
			Namespace: "d", Name: "j", Revision: 2, Seq: js.Seq, Cursor: int64(1000 + i), At: 6,
			Runs: []*wire.CreateRun{{Run: id, Namespace: "d", Job: "j", Created: 6, Fired: true, Record: []byte("run")}},
		})
		if r.err != nil || len(r.fired.Killed) != maxEnds {
			t.Fatalf("got %d killed, %v, want %d", len(r.fired.Killed), r.err, maxEnds)
		}
		invariants(t, f.kv)
	}
}

// A settlement in parts, as many fires at once are, meets a pause.
func TestAPartOfASettlementIsNotTakenForTheOneBefore(t *testing.T) {
	s := open(t, t.TempDir())
	d := declare(t, s, hourly(trigger.OverlapAllow, 0))
	part := func(seq uint64, n int) Firing {
		f := firing(d, due(9), n)
		f.Seq, f.Cursor = seq, d.Fires.Cursor
		return f
	}
	_, err := s.Fire(t.Context(), part(d.Fires.Seq, 1))
	must(t, err)
	must(t, s.PauseJob(t.Context(), "d", "j", ""))
	_, err = s.Fire(t.Context(), part(d.Fires.Seq+1, 2))
	if err == nil {
		if _, err := s.Run(job.FireID("d", "j", due(2))); err != nil {
			t.Errorf("the part was answered as done, and its run is not there: %v", err)
		}
		return
	}
	refused(t, err, ErrStale)
}

func TestAClockThatGoesBackDoesNotEndATrigger(t *testing.T) {
	now := noon
	cfg := config(t.TempDir())
	cfg.Now = func() time.Time { return now }
	s, err := openLone(t.Context(), cfg)
	must(t, err)
	defer closed(t, s)
	_, err = s.PutJob(t.Context(), hourly("", 0), nil, noon, 0)
	must(t, err)
	must(t, s.PauseJob(t.Context(), "d", "j", ""))
	now = now.Add(time.Minute)
	must(t, s.ResumeJob(t.Context(), "d", "j"))
	now = now.Add(-time.Hour)
	must(t, s.PauseJob(t.Context(), "d", "j", ""))
	if f := settled(t, s).Fires; !f.ResumedAt.Before(f.PausedAt) {
		t.Errorf("paused at %v and resumed at %v: to who decides the job is not paused", f.PausedAt, f.ResumedAt)
	}
	must(t, s.ResumeJob(t.Context(), "d", "j"))
	if _, ok, err := s.NextWake(); err != nil || !ok {
		t.Errorf("nobody will ever look at the trigger again: %v", err)
	}
}

// Whoever decides takes it that all runs of a decision are made.
func TestATriggerHasNotEndedBeforeItHasMadeItsRuns(t *testing.T) {
	s := open(t, t.TempDir())
	spec := hourly("", 0)
	spec.Schedule.MaxRuns = 2
	d := declare(t, s, spec)
	_, err := s.Fire(t.Context(), firing(d, due(2), 1))
	must(t, err)
	f := firing(settled(t, s), time.Time{}, 2)
	f.Ended = true
	_, err = s.Fire(t.Context(), f)
	must(t, err)
	if d := settled(t, s); d.Fires.Ended || d.Fires.Wake.IsZero() {
		t.Errorf("it has ended after %d of 2 runs, with %v skipped", d.Fires.Runs, d.Fires.Skipped)
	}
}

func TestAWorkflowThatFollowsItselfIsLookedAtWhenItsRunEnds(t *testing.T) {
	s := open(t, t.TempDir())
	spec := job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "workflow nightly on delay 10s"}}
	d := declare(t, s, spec)
	_, err := s.Fire(t.Context(), firing(d, time.Time{}, 1))
	must(t, err)
	_, err = s.Kill(t.Context(), job.FireID("d", "j", due(1)), "over")
	must(t, err)
	if _, ok, err := s.NextWake(); err != nil || !ok {
		t.Errorf("nobody will ever look at the trigger again: %v", err)
	}
}

// A run of an earlier life of the job has the ID.
func TestAJobThatFollowsItselfGoesOnWhenItsRunWasThere(t *testing.T) {
	s := open(t, t.TempDir())
	spec := job.Spec{Namespace: "d", Name: "j", Processor: "p", Schedule: trigger.Schedule{When: "delay 10s"}}
	d := declare(t, s, spec)
	_, err := s.Create(t.Context(), job.Run{ID: job.FireID("d", "j", due(1)), Spec: spec}, nil)
	must(t, err)
	_, err = s.Fire(t.Context(), firing(d, time.Time{}, 1))
	must(t, err)
	if _, ok, err := s.NextWake(); err != nil || !ok {
		t.Errorf("nobody will ever look at the trigger again: %v", err)
	}
}

func TestAJobThatIsDeclaredAnewMeetsItsRunsThatGoOn(t *testing.T) {
	s := open(t, t.TempDir())
	d := declare(t, s, hourly("", 0))
	_, err := s.Fire(t.Context(), firing(d, due(2), 1))
	must(t, err)
	must(t, s.DeleteJob(t.Context(), "d", "j"))
	d = declare(t, s, hourly("", 0))
	_, err = s.Fire(t.Context(), firing(d, due(3), 2))
	must(t, err)
	if d := settled(t, s); d.Fires.Runs != 0 || d.Fires.Skipped["overlap"] != 1 {
		t.Errorf("got %d runs, %v skipped, beside one that goes on", d.Fires.Runs, d.Fires.Skipped)
	}
}

// Input that is kept with the job and fits: every run of a page has it.
func TestAPageOfRunsWithInputFits(t *testing.T) {
	s := open(t, t.TempDir())
	d := declare(t, s, hourly(trigger.OverlapAllow, 0))
	var minutes []int
	for n := range 64 { // firesAtOnce of the node
		minutes = append(minutes, n)
	}
	f := firing(d, due(99), minutes...)
	for i := range f.Runs {
		f.Runs[i].Chunks = [][]byte{bytes.Repeat([]byte("x"), 100<<10)}
	}
	_, err := s.Fire(t.Context(), f)
	must(t, err)
}

// invariants checks what is to hold of declared jobs whatever happened.
func invariants(t testing.TB, kv *store.KV) {
	t.Helper()
	active := map[string][]job.RunID{} // the runs that triggers made and that are not over, by job
	for p, err := range kv.Scan([]byte("h")) {
		must(t, err)
		id := runOf(p.Key, 0)
		st, err := readStatus(kv, id)
		must(t, err)
		if st.Fired && !st.State.Done() && !st.Staged {
			key := string(jobStatusKey(st.Namespace, st.Job))
			active[key] = append(active[key], id)
		}
	}
	wakes := map[string]bool{}
	for p, err := range kv.Scan([]byte("W")) {
		must(t, err)
		wakes[string(p.Key)] = true
	}
	for p, err := range kv.Scan([]byte("y")) {
		must(t, err)
		var js wire.JobStatus
		must(t, wire.DecodeRecord(p.Value, &js))
		names := bytes.Split(p.Key[1:], []byte{0})
		namespace, name := string(names[0]), string(names[1])
		want := active[string(p.Key)]
		delete(active, string(p.Key))
		got := slices.Clone(js.Active)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("job %s/%s has %d runs that go on, and names %d: %v, want %v", namespace, name, len(want), len(got), got, want)
		}
		if js.Wake != 0 {
			key := string(wakeKey(namespace, name, js.Wake))
			if !wakes[key] {
				t.Fatalf("job %s/%s is to be looked at, and not listed for that", namespace, name)
			}
			delete(wakes, key)
		}
		_, err := kv.Get(jobKey(namespace, name))
		if js.Deleted != errors.Is(err, store.ErrNotFound) || js.Deleted && (len(js.Active) == 0 || js.Wake != 0) {
			t.Fatalf("job %s/%s has status %+v beside a declaration: %v", namespace, name, js, err)
		}
		if _, err := kv.Get(pauseKey(namespace, name)); !js.Deleted && (js.PausedAt > js.ResumedAt) == errors.Is(err, store.ErrNotFound) {
			t.Fatalf("job %s/%s was paused at %d and resumed at %d, beside a pause: %v", namespace, name, js.PausedAt, js.ResumedAt, err)
		}
		if len(js.Recent) > maxRecent {
			t.Fatalf("job %s/%s keeps %d records of skipped fires", namespace, name, len(js.Recent))
		}
	}
	if len(wakes) > 0 || len(active) > 0 {
		t.Fatalf("left without a job: wakes %q, runs %v", slices.Collect(maps.Keys(wakes)), active)
	}
}

// chanceOfJobs returns a command about declared jobs that may be refused.
func chanceOfJobs(chance *rand.Rand, f *fsm) wire.Command {
	name := fmt.Sprintf("j%d", chance.IntN(3))
	js, _ := readJobStatus(f.kv, "d", name)
	if js == nil {
		js = &wire.JobStatus{}
	}
	now := int64(1000 + chance.IntN(1000)) // it goes forward and back
	policies := []string{"", "skip", job.OverlapQueueOne, job.OverlapQueueAll, job.OverlapCancelOld, job.OverlapKillOld, job.OverlapAllow}
	switch chance.IntN(12) {
	case 0:
		return &wire.PutJob{
			Namespace: "d", Name: name, At: now, Wake: now * int64(chance.IntN(2)), Expect: uint64(chance.IntN(2)) * js.Revision,
			Overlap: policies[chance.IntN(len(policies))], Limit: chance.IntN(3), Again: chance.IntN(3) == 0,
			Record: []byte{byte(chance.IntN(3))}, Chunks: make([][]byte, chance.IntN(3)),
		}
	case 1:
		return &wire.PauseJob{Namespace: "d", Name: name, At: now}
	case 2:
		return &wire.ResumeJob{Namespace: "d", Name: name, At: now}
	case 3:
		if chance.IntN(3) == 0 {
			return &wire.DeleteJob{Namespace: "d", Name: name}
		}
	case 4, 5, 6, 7:
		if len(js.Active) > 0 {
			id := js.Active[chance.IntN(len(js.Active))]
			switch chance.IntN(4) {
			case 0:
				return &wire.AssignRun{Run: id, Master: "m", At: now}
			case 1:
				return &wire.CancelRun{Run: id, Reason: "r", At: now}
			case 2:
				return &wire.KillRun{Run: id, Reason: "r", At: now}
			}
			return &wire.FinishRun{Run: id, Epoch: 1, State: job.Succeeded, At: now}
		}
	}
	c := &wire.FireJob{
		Namespace: "d", Name: name, Revision: js.Revision, Seq: js.Seq, At: now,
		Cursor: js.Cursor + int64(chance.IntN(3)), Wake: now * int64(chance.IntN(2)), Ended: chance.IntN(5) == 0,
	}
	if chance.IntN(5) == 0 {
		c.Seq = uint64(chance.IntN(5))
	}
	for range chance.IntN(4) {
		id := job.RunID(fmt.Sprintf("d/%s@%d", name, chance.IntN(200)))
		c.Runs = append(c.Runs, &wire.CreateRun{Run: id, Namespace: "d", Job: name, Created: now, Fired: true, Record: []byte("run")})
	}
	if chance.IntN(3) == 0 {
		c.Skipped = []job.Skipped{{Cause: "misfire", From: noon, To: noon, Count: 2, At: noon}}
	}
	return c
}

func TestWhateverHappensToJobsTheirRecordsAgree(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	f := openFSM(t, openKV(t, t.TempDir()))
	var logs []*raft.Log
	done := 0
	for i := range 3000 {
		c := chanceOfJobs(chance, f)
		l := &raft.Log{Index: uint64(i + 1), Type: raft.LogCommand, Data: entryOf(t, c)}
		logs = append(logs, l)
		r, ok := f.Apply(l).([]result)
		if !ok {
			t.Fatalf("%T stopped everything: %v", c, f.failure())
		}
		if r[0].err == nil {
			done++
		}
		if i%10 == 0 {
			invariants(t, f.kv)
		}
		if c, ok := c.(*wire.FireJob); ok && r[0].err == nil { // what was done is answered as done, and once
			was := contents(t, f.kv)
			if r := redone(t, f, l); r.err != nil {
				t.Fatalf("%+v, again: %v", c, r.err)
			}
			if contents(t, f.kv) != was {
				t.Fatalf("%+v was carried out twice", c)
			}
		}
	}
	invariants(t, f.kv)
	if done < 1000 {
		t.Errorf("only %d of %d commands were not refused", done, len(logs))
	}
	kv := openKV(t, t.TempDir())
	two := openFSM(t, kv)
	for left := logs; len(left) > 0; {
		n := 1 + chance.IntN(min(len(left), 200))
		two.ApplyBatch(left[:n])
		must(t, two.failure())
		left = left[n:]
	}
	if contents(t, kv) != contents(t, f.kv) {
		t.Fatal("the same commands in batches made another state")
	}
}

// redone carries out the command of an entry that was carried out before.
func redone(t testing.TB, f *fsm, l *raft.Log) (r result) {
	t.Helper()
	tx, err := f.begin()
	must(t, err)
	defer tx.end()
	tx.at = cursor{l.Index, 1} // so that it is written
	for c, err := range wire.Commands(l.Data) {
		must(t, err)
		r, err = tx.command(c)
		must(t, err)
	}
	must(t, tx.commit())
	return r
}
