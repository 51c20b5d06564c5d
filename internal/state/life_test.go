package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

func TestCreateMayBeRepeated(t *testing.T) {
	s, now := openAt(t, t.TempDir())
	ctx := t.Context()
	run := newRun("d/j@1")
	run.Master = "m1"
	small, large := blobs("c0", "c1"), [][]byte{make([]byte, 1<<20), []byte("x"), make([]byte, 1<<20)}
	first := create(t, s, run, small)
	want := contents(t, s.kv)
	now.set(1e9)
	run.Master = "m2" // whom the leader would choose now
	if got := create(t, s, run, small); got.Master != "m1" || got.Epoch != 1 || !got.Created.Equal(first.Created) {
		t.Fatalf("got %+v, want the first one", got)
	}
	if contents(t, s.kv) != want {
		t.Error("the second time changed something")
	}
	_, err := s.Create(ctx, run, blobs("c0", "other"))
	refused(t, err, ErrExists)
	_, err = s.Create(ctx, run, blobs("c0"))
	refused(t, err, ErrExists)
	run.Extra = map[string]string{"another": "run"}
	_, err = s.Create(ctx, run, small)
	refused(t, err, ErrExists)

	// Large input is staged, the second time for a run that is there.
	run = newRun("d/j@2")
	run.Master = "m1"
	create(t, s, run, large)
	if got := create(t, s, run, large); got.ID != run.ID {
		t.Fatalf("got %q", got.ID)
	}
	must(t, s.Finish(ctx, run.ID, 1, job.Succeeded, "", job.Progress{}))
	must(t, s.Rewrite(ctx, run.ID, []Entry{{Seq: 0, Data: []byte("s")}}))
	if got := create(t, s, run, large); got.State != job.Succeeded {
		t.Fatalf("got %v once it has ended and its journal was rewritten", got.State)
	}
}

func TestAssignFollowsTheEpochThatItNames(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1")
	for range 2 { // an answer may be lost
		run, err := s.Assign(ctx, id, 1, "m2", "m1 is gone")
		must(t, err)
		if run.Epoch != 2 || run.Master != "m2" {
			t.Fatalf("got epoch %d under %q", run.Epoch, run.Master)
		}
	}
	_, err := s.Assign(ctx, id, 1, "m3", "")
	refused(t, err, ErrFenced)
	run, err := s.Run(id)
	must(t, err)
	if last := run.History[len(run.History)-1]; last.What != "master m2, epoch 2: m1 is gone" || !last.At.Equal(noon) {
		t.Fatalf("got %v", last)
	}
}

func TestRunThatIsKilledHasEnded(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1")
	must(t, s.Append(ctx, id, 1, 0, blobs("a")))
	for range 2 {
		run, err := s.Kill(ctx, id, "enough")
		must(t, err)
		if run.State != job.Canceled || run.Reason != "enough" || run.CancelReason != "enough" || !run.Finished.Equal(noon) {
			t.Fatalf("got %+v", run)
		}
	}
	must(t, s.Append(ctx, id, 1, 0, blobs("a"))) // which was recorded before
	refused(t, s.Append(ctx, id, 1, 1, blobs("b")), ErrFinal)
	refused(t, s.Note(ctx, id, 1, "still here"), ErrFinal)
	for _, state := range []job.State{job.Succeeded, job.Failed, job.Canceled} {
		refused(t, s.Finish(ctx, id, 1, state, "", job.Progress{}), ErrFinal)
	}
	_, err := s.Assign(ctx, id, 1, "m2", "")
	refused(t, err, ErrFinal)

	other := created(t, s, "d/j@2")
	must(t, s.Finish(ctx, other, 1, job.Succeeded, "", job.Progress{}))
	if run, err := s.Kill(ctx, other, "too late"); err != nil || run.State != job.Succeeded || run.CancelReason != "" {
		t.Fatalf("got %v, %v", run.State, err)
	}
	_, err = s.Kill(ctx, "d/none@1", "")
	refused(t, err, ErrNoRun)
}

func TestRunIsTriedAgainAsAnotherAttempt(t *testing.T) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	first := keyed("d/j@1", "k", 0)
	create(t, s, first, nil)
	again := func(n int) job.Run {
		run := first
		run.ID, run.Of, run.Attempt, run.Master = job.Again(first.ID, n), first.ID, n, ""
		return run
	}
	if r, err := s.Create(ctx, again(2), nil); err != nil || r.ID != first.ID {
		t.Fatalf("got %q, %v: the key belongs to the one that lives", r.ID, err)
	}
	_, err := s.Assign(ctx, first.ID, 1, "m2", "")
	must(t, err)
	must(t, s.Finish(ctx, first.ID, 2, job.Failed, "bad luck", job.Progress{}))

	second := again(2)
	second.Epoch = 2
	got := create(t, s, second, blobs("left"))
	if got.ID != "d/j@1#2" || got.Of != first.ID || got.Attempt != 2 || got.Epoch != 2 || got.State != job.Pending {
		t.Fatalf("got %+v", got)
	}
	refused(t, s.Append(ctx, got.ID, 2, 1, blobs("of the run before")), ErrFenced)
	got, err = s.Assign(ctx, got.ID, 2, "m3", "")
	must(t, err)
	if got.Epoch != 3 {
		t.Fatalf("got epoch %d, want the one after those of the first", got.Epoch)
	}
	if taken := create(t, s, keyed("d/j@5", "k", 0), nil); taken.ID != got.ID {
		t.Fatalf("the key belongs to %q, and not to the attempt that lives", taken.ID)
	}
	unkeyed := again(3)
	unkeyed.Key = ""
	_, err = s.Create(ctx, unkeyed, nil)
	refused(t, err, ErrNotFinal)
	must(t, s.Finish(ctx, got.ID, 3, job.Succeeded, "", job.Progress{}))
	create(t, s, again(3), nil)

	closed(t, s)
	s = open(t, dir)
	for _, id := range []job.RunID{first.ID, "d/j@1#2", "d/j@1#3"} {
		all, err := s.Retries(id)
		must(t, err)
		if want := []job.RunID{first.ID, "d/j@1#2", "d/j@1#3"}; !slices.Equal(all, want) {
			t.Errorf("the attempts at %q: got %q, want %q", id, all, want)
		}
	}
	must(t, s.Forget(ctx, "d/j@1#2"))
	if all, err := s.Retries(first.ID); err != nil || len(all) != 2 {
		t.Errorf("got %q, %v", all, err)
	}
	if run, err := s.Run(first.ID); err != nil || run.Attempt != 1 || run.Of != "" || run.State != job.Failed {
		t.Errorf("got attempt %d of %q, %v, %v", run.Attempt, run.Of, run.State, err)
	}
	for _, bad := range []job.Run{{ID: "d/x@1#2", Of: "d/x@1"}, {ID: "d/x@1", Of: "d/x@1", Attempt: 2}, {ID: "d/x@1", Attempt: 2}} {
		refuseCreate(t, s, bad, ErrInvalid)
	}
	checkLaw(t, s.fsm)
}

func TestHistorySaysWhatHappenedAndHowMuchIsMissing(t *testing.T) {
	s, now := openAt(t, t.TempDir())
	ctx := t.Context()
	id := created(t, s, "d/j@1")
	for i := range 3 {
		now.set(1e9)
		must(t, s.Note(ctx, id, 1, fmt.Sprint("note ", i/2))) // the second says what the first does
	}
	refused(t, s.Note(ctx, id, 2, "no"), ErrFenced)
	_, err := s.Cancel(ctx, id, "by ann")
	must(t, err)
	must(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{}))
	run, err := s.Run(id)
	must(t, err)
	var got []string
	for _, h := range run.History {
		got = append(got, h.What)
	}
	want := []string{"created", "master m1, epoch 1", "note 0", "note 1", "asked to end: by ann", "canceled: by ann"}
	if !slices.Equal(got, want) || !run.History[1].At.Equal(noon) || !run.History[2].At.Equal(noon.Add(1e9)) {
		t.Fatalf("got %q at %v, want %q", got, run.History, want)
	}
	if runs, err := s.Runs("", 0); err != nil || len(runs[0].History) > 0 {
		t.Errorf("a list has %d happenings, %v", len(runs[0].History), err)
	}

	id = created(t, s, "d/j@2")
	for i := range maxHistory + 10 {
		must(t, s.Note(ctx, id, 1, fmt.Sprint(i, strings.Repeat("é", maxWhat))))
	}
	run, err = s.Run(id)
	must(t, err)
	if n := len(run.History); n != maxHistory+1 || !strings.HasPrefix(run.History[0].What, "12 earlier") {
		t.Fatalf("got %d happenings, the first %q", n, run.History[0].What)
	}
	if last := run.History[maxHistory]; len(last.What) > maxWhat+3 || !strings.HasPrefix(last.What, "109é") {
		t.Errorf("the last has %d bytes: %.20q", len(last.What), last.What)
	}
	checkLaw(t, s.fsm)
}

func TestPauseStaysUntilItIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	s, now := openAt(t, dir)
	ctx := t.Context()
	must(t, s.PauseJob(ctx, "", "j", "maintenance"))
	now.set(1e9)
	must(t, s.PauseJob(ctx, "default", "j", "again"))
	must(t, s.PauseJob(ctx, "a", "k", ""))
	closed(t, s)
	s = open(t, dir)
	want := Pause{Namespace: "default", Job: "j", At: noon, Reason: "maintenance"}
	if got, ok, err := s.Paused("default", "j"); err != nil || !ok || got != want {
		t.Fatalf("got %+v, %v, %v, want %+v", got, ok, err, want)
	}
	if all, err := s.Pauses(); err != nil || len(all) != 2 || all[1] != want {
		t.Fatalf("got %+v, %v", all, err)
	}
	for range 2 {
		must(t, s.ResumeJob(ctx, "default", "j"))
	}
	if _, ok, err := s.Paused("", "j"); err != nil || ok {
		t.Fatalf("it is paused: %v, %v", ok, err)
	}
	if _, ok, err := s.Paused("a", "k"); err != nil || !ok {
		t.Fatalf("another is not paused any more: %v, %v", ok, err)
	}
}
