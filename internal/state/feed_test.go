package state

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// shows is changes at places one after another, of some namespaces and jobs.
func shows(chance *rand.Rand, at *place, n int) (all []shown) {
	for range n {
		if chance.IntN(2) == 0 {
			*at = place{at.index + 1, 0, 0}
		}
		at.part++
		all = append(all, shown{place: *at, Change: job.Change{
			Of: job.RunChanged, Namespace: fmt.Sprint("n", chance.IntN(3)), Job: fmt.Sprint("j", chance.IntN(3)),
			Run: job.RunID(fmt.Sprint(at.index, "/", at.part)),
		}})
	}
	return all
}

func TestFeedGivesEachReaderAllThatMatchesInOrderOrSaysThatItDoesNotKnow(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 1))
	var f feed
	var at place
	var all []shown
	f.begin(at)
	readers := make([]struct {
		q    job.ChangeQuery
		at   place
		lost int
	}, 5)
	for i := range readers {
		readers[i].q.Namespace = fmt.Sprint("n", i%3)
		if i > 2 {
			readers[i].q.Job = "j1"
		}
	}
	for range 300 {
		news := shows(chance, &at, chance.IntN(400))
		f.add(news, place{at.index, allDone, 0})
		all = append(all, news...)
		at = place{at.index + 1, 0, 0}
		for i := range readers {
			r := &readers[i]
			if chance.IntN(40) != 0 && i == 4 { // one that is slow
				continue
			}
			for range chance.IntN(4) {
				found, to, _, known := f.look(&r.q, r.at, 1+chance.IntN(300))
				if !known {
					if r.at.compare(all[max(len(all)-feedKeeps-1, 0)].place) >= 0 {
						t.Fatalf("reader %d was at %v, of which all is kept", i, r.at)
					}
					r.lost++
					r.at = to
					continue
				}
				var want []shown
				for _, c := range all {
					if c.place.compare(r.at) > 0 && c.place.compare(to) <= 0 && r.q.Matches(&c.Change) {
						want = append(want, c)
					}
				}
				if !slices.Equal(found, want) {
					t.Fatalf("reader %d from %v to %v: got %d changes, want %d", i, r.at, to, len(found), len(want))
				}
				r.at = to
			}
		}
	}
	if readers[4].lost == 0 {
		t.Error("the slow reader was never told that it was too slow")
	}
	if got := len(f.kept); got != feedKeeps {
		t.Errorf("%d changes are kept, want %d", got, feedKeeps)
	}
}

func TestFeedIsBoundedByWhatItsTextsTake(t *testing.T) {
	var f feed
	long := string(make([]byte, 64<<10))
	for i := range uint64(2 * feedKeeps) {
		f.add([]shown{{place: place{i, 0, 1}, Change: job.Change{Reason: long}}}, place{i, allDone, 0})
		if f.bytes > feedBytes {
			t.Fatalf("after %d changes %d bytes are kept, want at most %d", i, f.bytes, feedBytes)
		}
	}
	const last = 2*feedKeeps - 1
	found, to, _, known := f.look(&job.ChangeQuery{}, place{last - 10, allDone, 0}, 100)
	if len(found) != 10 || to != (place{last, allDone, 0}) || !known {
		t.Errorf("got %d of the last 10 changes, to %v, known %v", len(found), to, known)
	}
	if _, _, _, known := f.look(&job.ChangeQuery{}, place{last - 200, 0, 0}, 100); known {
		t.Error("what was dropped is known")
	}
}

// changesOf returns all that a server tells of behind a place, as lines.
func changesOf(t *testing.T, s *State, q job.ChangeQuery) (lines []string, next string) {
	t.Helper()
	for {
		page, more, err := s.Changes(q)
		must(t, err)
		if page.Reset {
			lines = append(lines, "reset")
		}
		for _, c := range page.Changes {
			before, _ := placeIn(s.Cluster(), q.After)
			if at, ok := placeIn(s.Cluster(), c.Place); c.At.IsZero() || !ok || at.compare(before) <= 0 {
				t.Errorf("%s %s: at %v, place %s after %s", c.Of, c.What, c.At, c.Place, q.After)
			}
			line := fmt.Sprint(c.Of, " ", c.What, " ", c.Job, c.Operation, " ", c.Run, c.Revision, " ", c.State, " ", c.Reason, c.Done)
			lines = append(lines, line)
		}
		q.After = page.Next
		if more != nil {
			return lines, page.Next
		}
	}
}

func TestChangesTellWhatBecomesOfRunsJobsAndOperations(t *testing.T) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	q := job.ChangeQuery{Namespace: "default"}
	lines, begin := changesOf(t, s, q)
	if want := []string{"reset"}; !slices.Equal(lines, want) {
		t.Fatalf("from nowhere: got %q, want %q", lines, want)
	}
	_, err := s.PutJob(ctx, job.Spec{Namespace: "default", Name: "nightly", Processor: "p"}, nil, noon, 0)
	must(t, err)
	must(t, s.PauseJob(ctx, "", "nightly", "rain"))
	must(t, s.PauseJob(ctx, "", "nightly", "again"))
	must(t, s.ResumeJob(ctx, "", "nightly"))
	must(t, s.ResumeJob(ctx, "", "nightly"))
	must(t, s.PauseJob(ctx, "other", "nightly", "elsewhere"))
	id := created(t, s, "default/nightly@1")
	must(t, s.Append(ctx, id, 1, 0, blobs("x")))
	must(t, s.Finish(ctx, id, 1, job.Failed, "it rained", job.Progress{}))
	waits := create(t, s, newRun("default/nightly@2"), nil).ID
	_, err = s.Assign(ctx, waits, 0, "m1", "")
	must(t, err)
	_, err = s.Assign(ctx, waits, 1, "m2", "m1 is gone")
	must(t, err)
	must(t, s.Forget(ctx, id))
	o, err := s.BeginOperation(ctx, job.Operation{ID: "op", Created: noon, Bulk: job.Bulk{Namespace: "default", Verb: job.BulkCancel}}, []string{"a"})
	must(t, err)
	_, err = s.AdvanceOperation(ctx, "default", o.ID, OperationStep{Done: 3})
	must(t, err)
	_, err = s.CancelOperation(ctx, "default", o.ID, "enough")
	must(t, err)
	must(t, s.DeleteJob(ctx, "", "nightly"))
	want := []string{
		"job declared nightly 1  0",
		"job paused nightly 0  rain0",
		"job resumed nightly 0  0",
		"run created nightly default/nightly@10 running 0",
		"run ended nightly default/nightly@10 failed it rained0",
		"run created nightly default/nightly@20 pending 0",
		"run begun nightly default/nightly@20 running 0",
		"run removed nightly default/nightly@10 failed it rained0",
		"operation begun op 0 running 0",
		"operation advanced op 0 running 3",
		"operation ended op 0 canceled enough3",
		"job deleted nightly 0  0",
	}
	q.After = begin
	lines, next := changesOf(t, s, q)
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%q, want\n%q", lines, want)
	}
	q.Job = "another"
	if lines, at := changesOf(t, s, q); len(lines) > 0 || at != next {
		t.Errorf("of another job: got %q, at %s, want none, at %s", lines, at, next)
	}
	q.After = "0123456789-1-2-3"
	if lines, at := changesOf(t, s, q); !slices.Equal(lines, []string{"reset"}) || at != next {
		t.Errorf("of another cluster: got %q at %s, want a reset at %s", lines, at, next)
	}

	closed(t, s)
	s = open(t, dir)
	q = job.ChangeQuery{Namespace: "default", After: begin}
	if lines, at := changesOf(t, s, q); len(lines) != 1 || lines[0] != "reset" || at != next {
		t.Errorf("another life, from before it: got %q at %s, want a reset at %s", lines, at, next)
	}
	q.After = next
	must(t, s.PauseJob(ctx, "", "nightly", "snow"))
	if lines, _ := changesOf(t, s, q); !slices.Equal(lines, []string{"job paused nightly 0  snow0"}) {
		t.Errorf("another life, from where it began: got %q", lines)
	}
}

func TestChangesWakeThoseWhoWait(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	q := job.ChangeQuery{Namespace: "default"}
	_, q.After = changesOf(t, s, q)
	page, more, err := s.Changes(q)
	must(t, err)
	if more == nil || len(page.Changes) > 0 {
		t.Fatalf("got %v where nothing has changed", page)
	}
	must(t, s.PauseJob(ctx, "", "nightly", ""))
	<-more
	if lines, _ := changesOf(t, s, q); len(lines) != 1 {
		t.Errorf("got %q, want one change", lines)
	}
	_, more, err = s.Changes(job.ChangeQuery{Namespace: "other", After: page.Next})
	must(t, err)
	must(t, s.Close())
	<-more
	_, _, err = s.Changes(q)
	refused(t, err, ErrClosed)
}

// TestAChangeInALotIsToldOfItsRun has runs of a lot shown by their numbers, and one
// of none.
func TestAChangeInALotIsToldOfItsRun(t *testing.T) {
	var f feed
	f.add([]shown{
		{place: place{1, 0, 1}, Change: job.Change{Run: "n/j@1"}, inLot: 1},
		{place: place{1, 0, 2}, Change: job.Change{Run: "n/j@1"}, inLot: 18},
		{place: place{1, 0, 3}, Change: job.Change{Run: "n/j@1"}},
	}, place{1, allDone, 0})
	for range 2 { // what one was told another is told
		var got []job.RunID
		found, _, _, _ := f.look(&job.ChangeQuery{}, place{}, 10)
		for i := range found {
			got = append(got, found[i].Run)
		}
		if want := []job.RunID{"n/j@1.0000", "n/j@1.0017", "n/j@1"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
