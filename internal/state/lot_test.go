package state

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// twins are two states that are told the same: in one, runs that can be are
// recorded as lots, in the other each is by itself.
type twins struct {
	t           *testing.T
	chance      *rand.Rand
	at          time.Time
	lots, alone *State
	ids         []job.RunID // of the runs that were created
	epochs      map[job.RunID]uint64
}

func newTwins(t *testing.T) *twins {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := &twins{t: t, chance: rand.New(rand.NewPCG(seed, 0)), at: noon, epochs: map[job.RunID]uint64{}}
	for _, s := range []**State{&w.lots, &w.alone} {
		cfg := config(t.TempDir())
		cfg.Now = func() time.Time { return w.at }
		var err error
		*s, err = openLone(t.Context(), cfg)
		must(t, err)
		t.Cleanup(func() { closed(t, *s) })
	}
	return w
}

// both does something to both, which must come to the same.
func (w *twins) both(what string, do func(s *State) error) {
	w.t.Helper()
	if got, want := fmt.Sprint(do(w.lots)), fmt.Sprint(do(w.alone)); got != want {
		w.t.Fatalf("%s: with lots it comes to %q, else to %q", what, got, want)
	}
}

// create makes a lot of n runs, and one run by itself.
func (w *twins) create(name string, n int) {
	w.t.Helper()
	lot := Lot{Run: newRun("default/" + name + "@1-lot"), Chunks: blobs("task")}
	lot.Run.Spec.Name, lot.Run.Master, lot.Run.Created = name, "m1", w.at
	lot.Run.Spec.Tags, lot.Run.Spec.Retain = []string{"red", name}, job.Retention{Runs: 7}
	var all []Creation
	for i := range n {
		lot.Params = append(lot.Params, fmt.Sprintf("number %d of %s", i, name))
		run := lot.Run
		run.ID, run.Spec.Params = job.InLot(lot.Run.ID, i), lot.Params[i]
		all = append(all, Creation{Run: run, Chunks: lot.Chunks})
		w.ids, w.epochs[run.ID] = append(w.ids, run.ID), 1
	}
	must(w.t, w.lots.CreateLots(w.t.Context(), []Lot{lot})[0])
	refused(w.t, w.lots.CreateLots(w.t.Context(), []Lot{lot})[0], ErrExists)
	made := w.alone.CreateAll(w.t.Context(), all)
	for i, run := range RunsOf(&lot) {
		must(w.t, made[i].Err)
		if !reflect.DeepEqual(*run, made[i].Run) {
			w.t.Fatalf("got %+v, want %+v", *run, made[i].Run)
		}
	}
	w.both("repeated by themselves", func(s *State) error {
		for _, made := range s.CreateAll(w.t.Context(), all) {
			must(w.t, made.Err)
		}
		return nil
	})
	single := newRun("default/" + name + "@2")
	single.Spec.Name, single.Master, single.Created = name, "m1", w.at
	w.ids, w.epochs[single.ID] = append(w.ids, single.ID), 1
	w.both("single", func(s *State) error { _, err := s.Create(w.t.Context(), single, blobs("task")); return err })
}

// some returns a few of the runs.
func (w *twins) some() (ids []job.RunID) {
	for _, id := range w.ids {
		if w.chance.IntN(6) == 0 {
			ids = append(ids, id)
		}
	}
	w.chance.Shuffle(len(ids), func(i, k int) { ids[i], ids[k] = ids[k], ids[i] })
	return ids
}

// step does anything at all.
func (w *twins) step() {
	w.t.Helper()
	w.at = w.at.Add(time.Second)
	ctx, id, why := w.t.Context(), w.ids[w.chance.IntN(len(w.ids))], oneOf(w.chance.IntN, "", "why")
	epoch := w.epochs[id]
	switch w.chance.IntN(14) {
	case 0, 1, 2:
		var all []Ending
		for _, id := range w.some() {
			all = append(all, Ending{
				Run: id, Epoch: w.epochs[id], State: job.Succeeded, Progress: job.Progress{Tasks: 1, Done: 1, Members: map[string]int{"m1": 1}},
				First: 1, Last: []byte("outcome of " + id), Plain: true,
			})
		}
		w.both("ends of many", func(s *State) error { return fmt.Errorf("%v", s.FinishAll(ctx, all)) })
	case 3:
		w.both("end", func(s *State) error {
			return s.Finish(ctx, id, epoch, job.Failed, why, job.Progress{Tasks: 1, Failed: 1})
		})
	case 4:
		w.both("cancel", func(s *State) error { _, err := s.Cancel(ctx, id, why); return err })
	case 5:
		w.both("kill", func(s *State) error { _, err := s.Kill(ctx, id, why); return err })
	case 6:
		w.both("assign", func(s *State) error {
			_, err := s.Assign(ctx, id, epoch, "m2", why)
			if err == nil {
				w.epochs[id] = epoch + 1
			}
			return err
		})
	case 7:
		w.both("append", func(s *State) error {
			return s.Append(ctx, id, epoch, 1, [][]byte{[]byte("entry"), make([]byte, 2<<10)})
		})
	case 8:
		w.both("note", func(s *State) error { return s.Note(ctx, id, epoch, why) })
	case 9:
		w.both("forget", func(s *State) error { return s.Forget(ctx, id) })
	case 10:
		ids := w.some()
		w.both("forget many", func(s *State) error { return s.ForgetAll(ctx, ids) })
	case 11:
		again := newRun(string(job.Again(id, 2)))
		again.Of, again.Attempt, again.Master, again.Created = id, 2, "m1", w.at
		w.both("again", func(s *State) error { _, err := s.Create(ctx, again, nil); return err })
	case 12:
		w.both("rewrite", func(s *State) error { return s.Rewrite(ctx, id, []Entry{{1, []byte("out")}}) })
	case 13:
		w.both("compacted", func(s *State) error { return s.Compacted(ctx, id) })
	}
}

// compare asks both everything.
func (w *twins) compare() {
	w.t.Helper()
	same := func(what string, ask func(s *State) (any, error)) {
		w.t.Helper()
		got, err1 := ask(w.lots)
		want, err2 := ask(w.alone)
		if fmt.Sprint(err1) != fmt.Sprint(err2) || !reflect.DeepEqual(got, want) {
			w.t.Fatalf("%s: got %+v, %v, want %+v, %v", what, got, err1, want, err2)
		}
	}
	for _, id := range w.ids {
		same(string(id), func(s *State) (any, error) { return s.Run(id) })
		same("retries", func(s *State) (any, error) { return s.Retries(id) })
		same("entry", func(s *State) (any, error) { return s.Entry(id, 1) })
		same("journal", func(s *State) (any, error) {
			var all []string
			for e, err := range s.Journal(id, 0) {
				if err != nil {
					return nil, err
				}
				all = append(all, string(e.Data))
			}
			return all, nil
		})
	}
	same("unfinished", func(s *State) (any, error) { return sorted(s.Unfinished()) })
	limit := 1 + w.chance.IntN(5)
	same("runs", func(s *State) (any, error) {
		var all []job.Run
		for after := job.RunID(""); ; {
			page, err := s.Runs(after, limit)
			if err != nil || len(page) == 0 {
				return sorted(all, err)
			}
			all, after = append(all, page...), page[len(page)-1].ID
		}
	})
	for _, name := range []string{"j", "k"} {
		same("finished", func(s *State) (any, error) {
			var all []Ended
			for after := (Ended{}); ; {
				page, err := s.Finished("default", name, after, limit)
				if err != nil || len(page) == 0 { // those that ended at the same time are in any order
					slices.SortStableFunc(all, func(a, b Ended) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
					return all, err
				}
				all, after = append(all, page...), page[len(page)-1]
			}
		})
		same("how many have finished", func(s *State) (any, error) { return s.FinishedRuns("default", name) })
		same("meant", func(s *State) (any, error) {
			var all []job.RunID
			b := job.Bulk{Verb: job.BulkCancel, Namespace: "default", Job: name, States: []job.State{job.Running}}
			for after := job.RunID(""); ; {
				ids, next, err := s.Meant(&b, "", after, limit)
				if all = append(all, ids...); err != nil || next == "" {
					slices.Sort(all)
					return all, err
				}
				after = next
			}
		})
	}
	for _, q := range []job.RunQuery{
		{Order: job.RunsByCreation},
		{Order: job.RunsByCreation, Namespace: "default", States: []job.State{job.Succeeded}},
		{Order: job.RunsByCreation, Tags: []string{"j"}, Namespace: "default"},
		{Order: job.RunsByCreation, Tags: []string{"red"}, From: noon.Add(time.Hour)},
	} {
		for _, q.Backward = range []bool{false, true} {
			q.Limit = 1 + w.chance.IntN(5)
			same(fmt.Sprintf("%+v", q), func(s *State) (any, error) {
				var all []job.Run
				for {
					page, err := s.Find(q)
					all = append(all, page.Runs...)
					if q.After = page.Next; err != nil || q.After == "" {
						return all, err
					}
				}
			})
		}
	}
	for _, q := range []job.RunQuery{{}, {Job: "j", Namespace: "default"}, {States: []job.State{job.Failed, job.Canceled}}} {
		for _, q.Backward = range []bool{false, true} {
			q.Limit = 1 + w.chance.IntN(5)
			same(fmt.Sprintf("%+v", q), func(s *State) (any, error) { // what was tried again is behind its lot
				var all []job.Run
				for {
					page, err := s.Find(q)
					all = append(all, page.Runs...)
					if q.After = page.Next; err != nil || q.After == "" {
						return sorted(all, err)
					}
				}
			})
		}
	}
}

// sorted returns runs in the order of their IDs.
func sorted(runs []job.Run, err error) ([]job.Run, error) {
	slices.SortFunc(runs, func(a, b job.Run) int { return cmp.Compare(a.ID, b.ID) })
	return runs, err
}

// toldOf returns what a state has told of each run, in order.
func toldOf(t *testing.T, s *State) map[job.RunID][]string {
	all := map[job.RunID][]string{}
	q := job.ChangeQuery{Limit: maxChanges, After: place{}.in(s.Cluster())}
	for {
		page, more, err := s.Changes(q)
		must(t, err)
		if page.Reset {
			t.Fatal("some changes are not known any more")
		}
		for _, c := range page.Changes {
			all[c.Run] = append(all[c.Run], fmt.Sprint(c.What, c.Namespace, c.Job, c.State, c.Reason))
		}
		if q.After = page.Next; more != nil {
			return all
		}
	}
}

// TestLotsAreWhatTheirRunsWouldBeByThemselves tells two states the same, and asks
// them everything.
func TestLotsAreWhatTheirRunsWouldBeByThemselves(t *testing.T) {
	w := newTwins(t)
	w.create("j", 9)
	w.create("k", 3)
	w.compare()
	for i := range 120 {
		if w.step(); i%3 == 0 {
			w.compare()
		}
	}
	checkLaw(t, w.lots.fsm)
	if got, want := toldOf(t, w.lots), toldOf(t, w.alone); !reflect.DeepEqual(got, want) {
		t.Errorf("told were %v, want %v", got, want)
	}
	// All that is left of them ends, and is forgotten.
	ctx := t.Context()
	for _, s := range []*State{w.lots, w.alone} {
		runs, err := s.Runs("", 1000)
		must(t, err)
		var ids []job.RunID
		for _, run := range runs {
			_, err := s.Kill(ctx, run.ID, "")
			must(t, err)
			ids = append(ids, run.ID)
		}
		must(t, s.ForgetAll(ctx, ids))
		checkLaw(t, s.fsm)
		for key := range records(t, s.kv) {
			switch key[0] {
			case 'r', 'h', 'j', 'u', 'e', 'w', 'V', 'L', 'g', 'a':
				t.Errorf("record %q is left", key)
			}
		}
	}
}

// TestTheEndOfARunOfALotIsTold waits for runs of a lot in every way there is.
func TestTheEndOfARunOfALotIsTold(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	lot := Lot{Run: newRun("default/nightly@1-lot"), Params: []string{"a", "b", "c"}, Chunks: blobs("task")}
	lot.Run.Master = "m1"
	early, stop := s.Watch(job.InLot(lot.Run.ID, 1))
	defer stop()
	must(t, s.CreateLots(ctx, []Lot{lot})[0])
	if run := <-early; run.State != job.Running || run.Spec.Params != "b" {
		t.Fatalf("got %+v", run)
	}
	ends := s.Ends()
	defer ends.Stop()
	for i := range 3 {
		_, err := ends.Add(job.InLot(lot.Run.ID, i))
		must(t, err)
	}
	if unknown, err := ends.Add(job.InLot(lot.Run.ID, 3)); len(unknown) != 1 || err != nil {
		t.Errorf("got %v unknown, %v, want the one", unknown, err)
	}
	if _, err := s.Run(lot.Run.ID); err == nil {
		t.Error("the lot is a run")
	}
	var all []Ending
	for _, i := range []int{2, 1} {
		all = append(all, Ending{
			Run: job.InLot(lot.Run.ID, i), Epoch: 1, State: job.Succeeded, Progress: job.Progress{Tasks: 1, Done: 1}, First: 1, Last: []byte{byte(i)}, Plain: true,
		})
	}
	for _, err := range s.FinishAll(ctx, all) {
		must(t, err)
	}
	<-ends.Ready()
	told := ends.Take()
	if len(told) != 2 {
		t.Fatalf("%d ends were told", len(told))
	}
	for _, end := range told {
		run, entries, err := s.Outcome(end, 5)
		must(t, err)
		_, i, _ := job.LotOf(end.ID)
		if run.State != job.Succeeded || run.Progress.Done != 1 || len(entries) != 2 || !slices.Equal(entries[1].Data, []byte{byte(i)}) {
			t.Errorf("got %+v, %+v", run, entries)
		}
	}
	if run := <-early; run.State != job.Succeeded {
		t.Errorf("got %+v", run)
	}
	_, err := s.Cancel(ctx, job.InLot(lot.Run.ID, 0), "why")
	must(t, err)
	must(t, s.Finish(ctx, job.InLot(lot.Run.ID, 0), 1, job.Succeeded, "", job.Progress{}))
	<-ends.Ready()
	if told := ends.Take(); len(told) != 1 || told[0].ID != job.InLot(lot.Run.ID, 0) {
		t.Errorf("told: %+v", told)
	}
	checkLaw(t, s.fsm)
}

// TestWhoWaitsForALotIsToldWhateverHasEnded asks twice for all runs of a lot of which
// some have ended, one was forgotten, and the others end while they are waited for.
func TestWhoWaitsForALotIsToldWhateverHasEnded(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	lot := Lot{Run: newRun("default/nightly@1-lot"), Params: []string{"a", "b", "c", "d"}, Chunks: blobs("task")}
	lot.Run.Master = "m1"
	must(t, s.CreateLots(ctx, []Lot{lot})[0])
	ids := make([]job.RunID, len(lot.Params)+1)
	for i := range ids {
		ids[i] = job.InLot(lot.Run.ID, i)
	}
	end := func(some ...int) {
		t.Helper()
		var all []Ending
		for _, i := range some {
			all = append(all, Ending{
				Run: ids[i], Epoch: 1, State: job.Succeeded, Progress: job.Progress{Done: 1, Members: map[string]int{"m1": 1}}, First: 1, Last: []byte{byte(i)}, Plain: true,
			})
		}
		for _, err := range s.FinishAll(ctx, all) {
			must(t, err)
		}
	}
	ends := s.Ends()
	defer ends.Stop()
	check := func(want ...int) {
		t.Helper()
		told := ends.Take()
		slices.SortFunc(told, func(a, b End) int { return cmp.Compare(a.ID, b.ID) })
		if len(told) != len(want) {
			t.Fatalf("%d ends were told, want those of %v", len(told), want)
		}
		for k, i := range want {
			over, entries, err := s.Outcome(told[k], 8)
			must(t, err)
			if over.ID != ids[i] || over.State != job.Succeeded || over.Epoch != 1 || over.Progress.Members["m1"] != 1 {
				t.Errorf("got %+v, want the end of %s", over, ids[i])
			}
			if len(entries) != 2 || string(entries[0].Data) != "task" || entries[1].Seq != 1 || !bytes.Equal(entries[1].Data, []byte{byte(i)}) {
				t.Errorf("got the journal %+v of %s", entries, ids[i])
			}
		}
	}

	end(0)
	end(1)
	must(t, s.ForgetAll(ctx, ids[1:2]))
	unknown, err := ends.Add(ids...)
	must(t, err)
	if want := []job.RunID{ids[1], ids[4]}; !slices.Equal(unknown, want) {
		t.Errorf("got %v unknown, want %v", unknown, want)
	}
	check(0)
	end(3, 2)
	<-ends.Ready()
	check(2, 3)
	again, err := ends.Add(ids...)
	must(t, err)
	if !slices.Equal(again, unknown) {
		t.Errorf("got %v unknown when asked again, want %v", again, unknown)
	}
	check(0, 2, 3)
}

// TestALotSurvives opens a state again that has a lot of which one run has ended
// and one has left.
func TestALotSurvives(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	lot := Lot{Run: newRun("default/nightly@1-lot"), Params: []string{"a", "b", "c"}}
	lot.Run.Master = "m1"
	must(t, s.CreateLots(ctx, []Lot{lot})[0])
	id := func(i int) job.RunID { return job.InLot(lot.Run.ID, i) }
	for _, err := range s.FinishAll(ctx, []Ending{{Run: id(1), Epoch: 1, State: job.Succeeded, Last: []byte("x"), Plain: true}}) {
		must(t, err)
	}
	_, err := s.Assign(ctx, id(2), 1, "m2", "")
	must(t, err)
	want, err := s.Runs("", 0)
	must(t, err)
	closed(t, s)
	s = open(t, dir)
	if got, err := s.Runs("", 0); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	if !s.fsm.goesOn(id(0)) || s.fsm.goesOn(id(1)) || !s.fsm.goesOn(id(2)) {
		t.Error("what goes on is not known any more")
	}
	checkLaw(t, s.fsm)
}

// TestWhatIsNoLotIsRefused proposes lots that can't be, and one whose first run
// was created by itself.
func TestWhatIsNoLotIsRefused(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	fine := func() Lot {
		lot := Lot{Run: newRun("default/nightly@1-lot"), Params: []string{"a", "b"}}
		lot.Run.Master = "m1"
		return lot
	}
	for name, spoil := range map[string]func(l *Lot){
		"nobody conducts it": func(l *Lot) { l.Run.Master = "" },
		"too many":           func(l *Lot) { l.Params = make([]string, job.MaxLot+1) },
		"a key":              func(l *Lot) { l.Run.Key = "k" },
		"long journals":      func(l *Lot) { l.Chunks = [][]byte{make([]byte, shortBytes+1)} },
		"its time to come":   func(l *Lot) { l.Run.NotBefore = noon.Add(time.Hour) },
	} {
		lot := fine()
		spoil(&lot)
		if err := s.CreateLots(ctx, []Lot{lot})[0]; err == nil {
			t.Errorf("%s: it was created", name)
		}
	}
	lot := fine()
	created(t, s, string(job.InLot(lot.Run.ID, 1)))
	refused(t, s.CreateLots(ctx, []Lot{lot})[0], ErrExists)
	r, err := s.propose(ctx, &wire.EndInLot{Lot: lot.Run.ID, Epoch: 1, Last: addItem(nil, 1, "x")})
	if refused(t, err, ErrNoRun); r.leftOut != nil {
		t.Errorf("got %+v", r)
	}
}

// TestTheEndsOfALotAllocateLittle counts what it takes to find out how the runs of a
// lot ended that has: of each a copy of its last entry, and the list that has it.
func TestTheEndsOfALotAllocateLittle(t *testing.T) {
	const n, most = 1000, 3
	s, ctx := open(t, t.TempDir()), t.Context()
	lot := Lot{Run: newRun("default/nightly@1-lot"), Params: make([]string, n), Chunks: blobs("task")}
	lot.Run.Master = "m1"
	must(t, s.CreateLots(ctx, []Lot{lot})[0])
	ids, all := make([]job.RunID, n), make([]Ending, n)
	for i := range ids {
		ids[i] = job.InLot(lot.Run.ID, i)
		all[i] = Ending{Run: ids[i], Epoch: 1, State: job.Succeeded, First: 1, Last: []byte("last"), Plain: true}
	}
	for _, err := range s.FinishAll(ctx, all) {
		must(t, err)
	}
	got := testing.AllocsPerRun(5, func() {
		ends := s.Ends()
		defer ends.Stop()
		_, err := ends.Add(ids...)
		must(t, err)
		told := ends.Take()
		if len(told) != n {
			t.Fatalf("%d ends were told, want %d", len(told), n)
		}
		for _, end := range told {
			_, _, err := s.Outcome(end, 8)
			must(t, err)
		}
	})
	if got /= n; got > most {
		t.Errorf("the end of a run takes %v allocations, want at most %d", got, most)
	}
}
