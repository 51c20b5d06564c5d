package state

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

func TestEndedRunsAreListedInTheOrderInWhichTheyEnded(t *testing.T) {
	dir := t.TempDir()
	s, now := openAt(t, dir)
	ctx := t.Context()
	for i, after := range []int{3, 1, 2} {
		id := created(t, s, fmt.Sprintf("d/j@%d", i))
		now.set(time.Duration(after) * time.Minute)
		must(t, s.Finish(ctx, id, 1, job.State(int(job.Succeeded)+i), "", job.Progress{}))
	}
	created(t, s, "d/live@1")
	closed(t, s)
	s = open(t, dir)
	want := []Ended{
		{"d/j@1", noon.Add(time.Minute), job.Failed, true, job.Retention{}},
		{"d/j@2", noon.Add(2 * time.Minute), job.Canceled, true, job.Retention{}},
		{"d/j@0", noon.Add(3 * time.Minute), job.Succeeded, true, job.Retention{}},
	}
	for limit := range 4 {
		var got []Ended
		for after := (Ended{}); ; after = got[len(got)-1] {
			page, err := s.Finished("default", "nightly", after, limit)
			must(t, err)
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("pages of %d: got %v, want %v", limit, got, want)
		}
	}
	for j, err := range s.FinishedJobs() {
		must(t, err)
		if j != (JobCount{"default", "nightly", 3}) {
			t.Errorf("got %+v", j)
		}
	}
	for i := range want {
		want[i].Keeps = false
	}
	if got, err := s.Uncompacted(0); err != nil || !slices.Equal(got, want) {
		t.Fatalf("to be compacted: got %v, %v, want %v", got, err, want)
	}
	for range 2 {
		must(t, s.Compacted(ctx, "d/j@2"))
	}
	if got, err := s.Uncompacted(0); err != nil || len(got) != 2 {
		t.Fatalf("to be compacted: got %v, %v", got, err)
	}
	refused(t, s.Compacted(ctx, "d/live@1"), ErrNotFinal)
}

func TestJournalOfAnEndedRunIsMadeSmallerAndNeverLarger(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1", []byte("chunk"))
	const entries = 2*rewriteStep + 5
	for i := range entries - 1 {
		must(t, s.Append(ctx, id, 1, uint64(1+i), [][]byte{bytes.Repeat([]byte("x"), 1+i*10_000)}))
	}
	refused(t, s.Rewrite(ctx, id, []Entry{{Seq: 0}}), ErrNotFinal)
	must(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{}))
	var small []Entry
	for i := range entries {
		small = append(small, Entry{Seq: uint64(i), Data: []byte("s")})
	}
	for range 2 { // an answer may be lost
		must(t, s.Rewrite(ctx, id, small))
	}
	if got := journal(t, s, id, 0); len(got) != entries || got[0] != "s" || got[entries-1] != "s" {
		t.Fatalf("got %d entries", len(got))
	}
	must(t, s.Rewrite(ctx, id, []Entry{{Seq: 3, Data: []byte{}}}))
	want := contents(t, s.kv)
	refused(t, s.Rewrite(ctx, id, []Entry{{Seq: 2, Data: []byte{}}, {Seq: 3, Data: []byte("s")}}), ErrInvalid)
	refused(t, s.Rewrite(ctx, id, []Entry{{Seq: entries, Data: nil}}), ErrInvalid)
	refused(t, s.Rewrite(ctx, id, []Entry{{Seq: 2, Data: nil}, {Seq: 1, Data: nil}}), ErrInvalid)
	if contents(t, s.kv) != want {
		t.Error("what was refused changed something")
	}
	refused(t, s.Append(ctx, id, 1, 1, blobs("x")), ErrFinal)
	refused(t, s.Rewrite(ctx, "d/none@1", small), ErrNoRun)
	checkLaw(t, s.fsm)
}

func TestForgottenRunLeavesNothing(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	created(t, s, "d/kept@1", []byte("c"))
	want := contents(t, s.kv)
	run := newRun("d/j@1")
	run.Master, run.Plan.Sample = "m1", make([]byte, 600<<10)
	create(t, s, run, nil)
	refused(t, s.Forget(ctx, run.ID), ErrNotFinal)
	for i := range 3 * discardStep {
		must(t, s.Append(ctx, run.ID, 1, uint64(i), [][]byte{make([]byte, 100+i*3000)}))
	}
	for i := range maxHistory {
		must(t, s.Note(ctx, run.ID, 1, fmt.Sprint(i)))
	}
	must(t, s.Finish(ctx, run.ID, 1, job.Succeeded, "", job.Progress{}))
	for range 2 {
		must(t, s.Forget(ctx, run.ID))
	}
	if contents(t, s.kv) != want {
		t.Fatal("something is left of it")
	}
	must(t, s.Forget(ctx, "d/none@1"))
	create(t, s, run, nil) // the ID is free
}

func TestForgettingGoesOnAfterACrash(t *testing.T) {
	for _, how := range []string{"forget again", "sweep", "open"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			s, ctx := open(t, dir), t.Context()
			want := contents(t, s.kv)
			id := created(t, s, "d/j@1")
			for i := range 2 * discardStep {
				must(t, s.Append(ctx, id, 1, uint64(i), blobs("x")))
			}
			must(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{}))
			_, err := s.propose(ctx, &wire.ForgetRun{Run: id}) // and then it died
			must(t, err)
			_, err = s.Run(id)
			refused(t, err, ErrNoRun)
			refuseCreate(t, s, newRun(string(id)), ErrExists)
			refused(t, s.Stage(ctx, id, 0, nil), ErrExists)
			switch how {
			case "forget again":
				must(t, s.Forget(ctx, id))
			case "sweep":
				must(t, s.Sweep(ctx))
			case "open":
				closed(t, s)
				s = open(t, dir)
				must(t, s.Sweep(ctx))
			}
			if contents(t, s.kv) != want {
				t.Fatal("something is left of it")
			}
		})
	}
}

func TestSweepRemovesInputThatNobodyCameBackFor(t *testing.T) {
	s, now := openAt(t, t.TempDir())
	ctx := t.Context()
	must(t, s.Stage(ctx, "d/old@1", 0, []byte("x")))
	now.set(stagedFor - time.Minute)
	must(t, s.Stage(ctx, "d/new@1", 0, []byte("x")))
	now.set(stagedFor + 1)
	must(t, s.Sweep(ctx))
	var left []job.RunID
	for p, err := range s.kv.Scan([]byte("g")) {
		must(t, err)
		left = append(left, runOf(p.Key, 0))
	}
	if !slices.Equal(left, []job.RunID{"d/new@1"}) {
		t.Errorf("staged for %q is left", left)
	}
}
