package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/pkg/job"
)

func TestCreatedRunIsReadAsItWasGiven(t *testing.T) {
	s := open(t, t.TempDir())
	run := newRun("reports/nightly@20260329T120000Z")
	run.Plan = job.Plan{Keyed: true, Reduces: 4, Sample: bytes.Repeat([]byte("s"), 700<<10)}
	create(t, s, run, blobs("c0", "c1"))

	got, err := s.Run(run.ID)
	must(t, err)
	run.Created, run.Plan.Chunks, run.Attempt = noon, 2, 1
	run.History = []job.Happening{{At: noon, What: "created"}}
	if !reflect.DeepEqual(got, run) {
		t.Fatalf("got %+v, want %+v", got, run)
	}
	if got, want := journal(t, s, run.ID, 0), []string{"c0", "c1"}; !slices.Equal(got, want) {
		t.Fatalf("got journal %q, want %q", got, want)
	}
	run.Fire = noon.Add(1)
	refuseCreate(t, s, run, ErrExists)
}

func TestCreateWithMasterBeginsUnderEpochOne(t *testing.T) {
	s := open(t, t.TempDir())
	id := created(t, s, "d/j@1")
	run, err := s.Run(id)
	must(t, err)
	if run.Epoch != 1 || run.Master != "m1" || run.State != job.Running {
		t.Fatalf("got epoch %d, master %q, %v", run.Epoch, run.Master, run.State)
	}
}

func TestLargeInputIsStagedAndWhole(t *testing.T) {
	s := open(t, t.TempDir())
	var chunks [][]byte
	for i := range 7 {
		chunks = append(chunks, bytes.Repeat([]byte{byte('a' + i)}, 300<<10+i))
	}
	chunks = append(chunks, bytes.Repeat([]byte("z"), MaxEntry), nil)
	create(t, s, newRun("d/j@1"), chunks)
	for i, want := range chunks {
		got, err := s.Entry("d/j@1", uint64(i))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("entry %d: got %d bytes, want %d", i, len(got), len(want))
		}
	}
	i := 0
	for e, err := range s.Journal("d/j@1", 0) {
		must(t, err)
		if !bytes.Equal(e.Data, chunks[i]) {
			t.Fatalf("journal entry %d differs", i)
		}
		i++
	}
	if i != len(chunks) {
		t.Fatalf("got %d entries, want %d", i, len(chunks))
	}
	err := s.Append(t.Context(), "d/j@1", 1, 0, [][]byte{make([]byte, MaxEntry+1)})
	refused(t, err, ErrInvalid)
}

func TestStagedInputBelongsToTheRunOnceItIsCreated(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	run := newRun("d/j@1")
	must(t, s.Stage(ctx, run.ID, 0, []byte("c0")))
	must(t, s.Stage(ctx, run.ID, 1, []byte("c1")))
	must(t, s.Stage(ctx, run.ID, 1, []byte("c1"))) // an answer that was lost
	refused(t, s.Stage(ctx, run.ID, 1, []byte("other")), ErrConflict)
	refused(t, s.Stage(ctx, run.ID, 3, []byte("gap")), ErrConflict)

	_, err := s.Run(run.ID)
	refused(t, err, ErrNoRun)
	_, err = s.Entry(run.ID, 0)
	refused(t, err, ErrNoRun)
	refused(t, s.Append(ctx, run.ID, 1, 2, blobs("x")), ErrNoRun)

	run.Plan.Chunks = 3
	refuseCreate(t, s, run, ErrConflict)
	run.Plan.Chunks = 2
	create(t, s, run, nil)
	if got, want := journal(t, s, run.ID, 0), []string{"c0", "c1"}; !slices.Equal(got, want) {
		t.Fatalf("got journal %q, want %q", got, want)
	}
	refused(t, s.Stage(ctx, run.ID, 2, []byte("late")), ErrExists)
	refused(t, s.Discard(ctx, run.ID), ErrExists)
}

func TestOldMasterIsFenced(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1", []byte("c"))
	must(t, s.Append(ctx, id, 1, 1, blobs("by m1")))
	run, err := s.Assign(ctx, id, 1, "m2", "")
	must(t, err)
	if run.Epoch != 2 || run.Master != "m2" || run.State != job.Running {
		t.Fatalf("got epoch %d, master %q, %v", run.Epoch, run.Master, run.State)
	}
	refused(t, s.Append(ctx, id, 1, 2, blobs("late")), ErrFenced)
	refused(t, s.Append(ctx, id, 3, 2, blobs("early")), ErrFenced)
	refused(t, s.Append(ctx, id, 0, 2, blobs("nobody's")), ErrFenced)
	refused(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{}), ErrFenced)
	must(t, s.Append(ctx, id, 2, 2, blobs("by m2")))
	if got, want := journal(t, s, id, 1), []string{"by m1", "by m2"}; !slices.Equal(got, want) {
		t.Fatalf("got journal %q, want %q", got, want)
	}
	var coded interface{ ErrorCode() string }
	err = s.Append(ctx, id, 1, 2, blobs("late"))
	if !errors.As(err, &coded) || coded.ErrorCode() != "fenced" {
		t.Fatalf("got %v without its code", err)
	}
}

func TestHistoriesCallNodesByTheirNames(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.Called = func(id string) string { return map[string]string{"m1": "alice", "m2": "bob"}[id] }
	s, err := openLone(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { closed(t, s) })
	id := created(t, s, "d/j@1", []byte("c"))
	_, err = s.Assign(t.Context(), id, 1, "m2", "alice is gone")
	must(t, err)
	_, err = s.Assign(t.Context(), id, 2, "m3", "")
	must(t, err)
	run, err := s.Run(id)
	must(t, err)
	var got []string
	for _, h := range run.History {
		got = append(got, h.What)
	}
	if want := []string{"created", "master alice, epoch 1", "master bob, epoch 2: alice is gone", "master m3, epoch 3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAppendMayBeRepeatedButNotChanged(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1", []byte("c"))
	must(t, s.Append(ctx, id, 1, 1, blobs("a", "b")))
	must(t, s.Append(ctx, id, 1, 1, blobs("a", "b")))
	must(t, s.Append(ctx, id, 1, 2, blobs("b", "c", "d")))
	refused(t, s.Append(ctx, id, 1, 2, blobs("x")), ErrConflict)
	refused(t, s.Append(ctx, id, 1, 6, blobs("gap")), ErrConflict)
	refused(t, s.Append(ctx, id, 1, 0, blobs("c")), ErrConflict) // it is of epoch 0
	must(t, s.Append(ctx, id, 1, 5, nil))
	if got, want := journal(t, s, id, 0), []string{"c", "a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Fatalf("got journal %q, want %q", got, want)
	}
	_, err := s.Entry(id, 5)
	refused(t, err, ErrNoEntry)
}

func TestFinalStateIsAbsorbing(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1")
	must(t, s.Append(ctx, id, 1, 0, blobs("a")))
	progress := job.Progress{Tasks: 3, Done: 3, Members: map[string]int{"n1": 1, "n2": 2}}
	must(t, s.Finish(ctx, id, 1, job.Succeeded, "all done", progress))
	must(t, s.Finish(ctx, id, 1, job.Succeeded, "again", job.Progress{}))
	refused(t, s.Finish(ctx, id, 1, job.Failed, "", job.Progress{}), ErrFinal)
	refused(t, s.Append(ctx, id, 1, 1, blobs("b")), ErrFinal)
	must(t, s.Append(ctx, id, 1, 0, blobs("a")))
	_, err := s.Assign(ctx, id, 1, "m2", "")
	refused(t, err, ErrFinal)
	run, err := s.Cancel(ctx, id, "too late")
	must(t, err)
	if run.State != job.Succeeded || run.Reason != "all done" || run.CancelReason != "" ||
		!run.Finished.Equal(noon) || !reflect.DeepEqual(run.Progress, progress) {
		t.Fatalf("got %+v", run)
	}
	refused(t, s.Finish(ctx, id, 1, job.Running, "", job.Progress{}), ErrInvalid)
}

func TestCancelThatCameFirstWins(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	id := created(t, s, "d/j@1")
	run, err := s.Cancel(ctx, id, "by ann")
	must(t, err)
	if run.CancelReason != "by ann" || run.State != job.Running {
		t.Fatalf("got %q, %v", run.CancelReason, run.State)
	}
	run, err = s.Cancel(ctx, id, "by bob")
	must(t, err)
	if run.CancelReason != "by ann" {
		t.Fatalf("got %q, want the first reason", run.CancelReason)
	}
	must(t, s.Finish(ctx, id, 1, job.Succeeded, "", job.Progress{Tasks: 1}))
	run, err = s.Run(id)
	must(t, err)
	if run.State != job.Canceled || run.Reason != "by ann" || run.Progress.Tasks != 1 {
		t.Fatalf("got %v, %q", run.State, run.Reason)
	}
}

func TestManyWritersAppendToManyRuns(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	const runs, entries = 16, 60
	var wg sync.WaitGroup
	for r := range runs {
		wg.Go(func() {
			id := created(t, s, fmt.Sprintf("d/j@%02d", r))
			for e := range entries {
				if err := s.Append(ctx, id, 1, uint64(e), blobs(fmt.Sprint(r, e))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for r := range runs {
		got := journal(t, s, job.RunID(fmt.Sprintf("d/j@%02d", r)), 0)
		if len(got) != entries {
			t.Fatalf("run %d has %d entries, want %d", r, len(got), entries)
		}
		for e := range got {
			if got[e] != fmt.Sprint(r, e) {
				t.Fatalf("run %d entry %d is %q", r, e, got[e])
			}
		}
	}
	if last := s.raftLog.Last(); last >= runs*entries {
		t.Errorf("%d commands took %d entries of the log: nothing was gathered", runs*entries, last)
	}
}

func TestFullDiskRefusesNewWorkByName(t *testing.T) {
	dir := t.TempDir()
	closed(t, open(t, dir))
	cfg := config(dir)
	cfg.Reserve = 1 << 62
	s, err := openLone(t.Context(), cfg)
	must(t, err)
	defer closed(t, s)
	_, err = s.Create(t.Context(), newRun("d/j@1"), nil)
	refused(t, err, ErrFull)
	refused(t, err, store.ErrFull)
	if !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %q without the directory", err)
	}
	_, err = s.Runs("", 0)
	must(t, err)
}

func TestCanceledWriteSaysThatItMayHaveHappened(t *testing.T) {
	s := open(t, t.TempDir())
	id := created(t, s, "d/j@1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := uint64(0); ; { // until the proposal wins against the canceled context
		err := s.Append(ctx, id, 1, i, blobs("x"))
		refused(t, err, context.Canceled)
		if errors.Is(err, ErrUncertain) {
			break
		}
	}
	must(t, s.Append(t.Context(), id, 1, 0, blobs("x")))
	if got := journal(t, s, id, 0); len(got) != 1 {
		t.Fatalf("got %d entries, want 1", len(got))
	}
}
