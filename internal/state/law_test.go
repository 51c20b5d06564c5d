package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// choose returns a number from 0 to n-1.
type choose func(n int) int

func oneOf[T any](c choose, of ...T) T { return of[c(len(of))] }

// anyCommand returns a command about a few runs of two jobs, which may be
// refused for any reason there is.
func anyCommand(c choose) wire.Command {
	id := oneOf[job.RunID](c, "d/j@1", "d/j@2", "d/k@1", "d/j@1#2", "d/j@1#3", "d/j@2#2", "d/j@7", "d/j@8", "d/j@9.0000", "d/j@9.0001", "d/j@9.0002")
	name, at, epoch := oneOf(c, "j", "k"), int64(c(30)), uint64(c(5))
	blob := func() []byte { return bytes.Repeat([]byte{byte(c(3))}, oneOf(c, 0, 1, 2, 7, 700<<10)) }
	entries := func() (all [][]byte) {
		for range c(3) {
			all = append(all, blob())
		}
		return all
	}
	switch c(50) {
	case 49:
		return &wire.BeginAhead{At: at}
	case 41, 42, 43, 44, 45, 46, 47, 48:
		return anyLot(c, at)
	case 37, 38, 39, 40:
		return anyOperation(c, at)
	case 34, 35, 36:
		return anyAccess(c, at)
	case 32:
		cmd := &wire.KeepRates{}
		for range c(3) {
			cmd.Windows = append(cmd.Windows, wire.RateWindow{Of: oneOf(c, "a", "b", strings.Repeat("long ", 300)), Window: bytes.Repeat([]byte{7}, c(3))})
		}
		return cmd
	case 33:
		return &wire.PutNamespace{Name: oneOf(c, "d", "e"), Record: bytes.Repeat([]byte{7}, c(3))}
	case 0, 1, 2, 3, 4:
		return anyRun(c, id, name, at)
	case 5:
		return &wire.StageEntry{Run: id, Seq: uint64(c(3)), At: at, Entry: blob()}
	case 6:
		return &wire.DiscardStaged{Run: id, Limit: uint64(c(3)), Before: at * int64(c(2))}
	case 7:
		return &wire.AdmitRun{Run: id}
	case 8, 9, 10:
		return &wire.AssignRun{Run: id, Master: oneOf(c, "m1", "m2"), After: epoch, At: at, Why: oneOf(c, "", "why")}
	case 11, 12, 13:
		return &wire.AppendEntries{Run: id, Epoch: epoch, First: uint64(c(6)), Entries: entries()}
	case 14, 15:
		end := &wire.FinishRun{Run: id, Epoch: epoch, State: job.State(c(6)), Reason: oneOf(c, "", "why"), At: at, Progress: blob(), Plain: c(2) == 0}
		if c(2) == 0 {
			end.First, end.Last = uint64(c(3)), blob()
		}
		return end
	case 16:
		return &wire.CancelRun{Run: id, Reason: oneOf(c, "", "why"), At: at}
	case 17:
		return &wire.KillRun{Run: id, Reason: oneOf(c, "", "why"), At: at}
	case 18:
		return &wire.NoteRun{Run: id, Epoch: epoch, Text: oneOf(c, "", "this", "that", strings.Repeat("long ", 300)), At: at}
	case 19:
		cmd := &wire.RewriteEntries{Run: id}
		for i := range c(4) {
			cmd.Seqs, cmd.Entries = append(cmd.Seqs, uint64(i*(1+c(2)))), append(cmd.Entries, blob())
		}
		return cmd
	case 20:
		return &wire.CompactedRun{Run: id}
	case 21, 22, 25, 26, 27:
		return &wire.ForgetRun{Run: id, At: at, Limit: uint64(oneOf(c, 0, 1, 64))}
	case 23:
		return &wire.FreeKey{Namespace: "d", Job: name, Key: oneOf(c, "x", "y"), At: at}
	case 24:
		return oneOf[wire.Command](c,
			&wire.PauseJob{Namespace: "d", Name: name, Reason: oneOf(c, "", "why"), At: at},
			&wire.ResumeJob{Namespace: "d", Name: name, At: at})
	}
	return anyJob(c, name, at)
}

// anyLot returns a command about a lot, whose runs the others are about too.
func anyLot(c choose, at int64) wire.Command {
	const lot = "d/j@9"
	switch c(4) {
	case 0:
		cmd := &wire.CreateLot{
			Lot: lot, Runs: uint64(1 + c(3)), Master: oneOf(c, "m1", "m1", "m1", ""), Called: oneOf(c, "", "one"), Namespace: "d", Job: "j", Priority: c(2), Created: at,
			KeepFor: time.Duration(c(2)), KeepRuns: c(3) - 1, Tags: oneOf(c, nil, nil, []string{"t1"}), Record: []byte{0x80},
		}
		for i := range cmd.Runs + uint64(c(9)/8) {
			cmd.Params = addItem(cmd.Params, i, oneOf(c, "", "p"))
		}
		for i := range c(3) {
			cmd.Entries = append(cmd.Entries, bytes.Repeat([]byte{byte(i)}, oneOf(c, i, i, i, i, shortBytes)))
		}
		return cmd
	case 1, 2:
		cmd := &wire.EndInLot{Lot: lot, Epoch: uint64(oneOf(c, 1, 1, 1, 2)), At: at, First: uint64(c(3)), Progress: bytes.Repeat([]byte{0x80}, c(2))}
		for i := range uint64(4) {
			if c(2) == 0 {
				cmd.Last = addItem(cmd.Last, oneOf(c, i, i, i, i, i, i, 1), bytes.Repeat([]byte{byte(i)}, oneOf(c, 1, 1, 1, shortBytes)))
			}
		}
		return cmd
	}
	cmd := &wire.ForgetInLot{Lot: lot}
	for range c(5) {
		cmd.Runs = append(cmd.Runs, uint64(c(4)))
	}
	return cmd
}

// anyAccess returns a command about tokens and what is asked for with them.
func anyAccess(c choose, at int64) wire.Command {
	id := oneOf(c, "a", "b", "c")
	switch c(5) {
	case 0, 1:
		return &wire.PutToken{ID: id, Hash: bytes.Repeat([]byte{byte(c(2))}, oneOf(c, 31, 32, 32, 32)), First: c(3) == 0, Record: []byte{byte(c(2))}}
	case 2:
		return &wire.RevokeToken{ID: id}
	case 3:
		return &wire.RecordAudit{ID: id, At: at, Record: bytes.Repeat([]byte{byte(c(2))}, oneOf(c, 1, 2, maxAudit+1))}
	}
	cmd := &wire.ForgetAudit{}
	for range c(4) {
		cmd.IDs, cmd.Ats = append(cmd.IDs, oneOf(c, "a", "b", "c", "")), append(cmd.Ats, int64(c(30)))
	}
	return cmd
}

// anyOperation returns a command about a bulk operation.
func anyOperation(c choose, at int64) wire.Command {
	namespace, id := oneOf(c, "d", "e"), oneOf(c, "a", "b", "c")
	switch c(6) {
	case 0, 1:
		return &wire.BeginOperation{
			Namespace: namespace, ID: id, At: int64(c(2)), Once: oneOf(c, "", "", "x", "y"), Record: []byte{byte(c(2))},
			Selection: oneOf(c, nil, []byte("names"), bytes.Repeat([]byte("names"), 100<<10)),
		}
	case 2, 3:
		cmd := &wire.AdvanceOperation{
			Namespace: namespace, ID: id, Step: uint64(c(4)), Reached: oneOf(c, "", "d/j@1"), Pass: uint64(c(2)), Done: uint64(c(3)), Refused: uint64(c(3)),
			State: oneOf(c, "", "", job.OperationRunning, job.OperationDone, job.OperationFailed), Reason: oneOf(c, "", "why"), At: at,
		}
		for range c(3) * 9 {
			cmd.Refusals = append(cmd.Refusals, job.Refusal{Name: "d/j@1", Why: oneOf(c, "", "why", strings.Repeat("long ", 300))})
		}
		return cmd
	case 4:
		return &wire.CancelOperation{Namespace: namespace, ID: id, Reason: oneOf(c, "", "why"), At: at}
	}
	return &wire.ForgetOperations{Namespace: namespace, IDs: []string{oneOf(c, "a", "b"), "c"}}
}

// fitting makes of a command one that is likely not to be refused, most of the
// time: few do that are made by chance alone.
func fitting(t testing.TB, c choose, f *fsm, cmd wire.Command) wire.Command {
	t.Helper()
	if c(4) == 0 {
		return cmd
	}
	id, _ := cost(cmd)
	st, err := readStatus(f.kv, id)
	must(t, err)
	if st == nil {
		st = &wire.RunStatus{}
	}
	switch cmd := cmd.(type) {
	case *wire.AssignRun:
		cmd.After = st.Epoch
	case *wire.AppendEntries:
		cmd.Epoch, cmd.First = st.Epoch, max(st.Next, 1)-uint64(c(2))
	case *wire.FinishRun:
		cmd.Epoch, cmd.State, cmd.First = st.Epoch, job.Succeeded+job.State(c(3)), st.Next
	case *wire.NoteRun:
		cmd.Epoch = st.Epoch
	case *wire.EndInLot:
		cmd.First = st.Chunks
	case *wire.StageEntry:
		cmd.Seq = st.Next
	case *wire.RewriteEntries:
		cmd.Seqs, cmd.Entries = nil, nil
		for seq := range st.Next {
			_, data, err := readEntry(f.kv, id, st, seq)
			must(t, err)
			if c(2) == 0 {
				cmd.Seqs, cmd.Entries = append(cmd.Seqs, seq), append(cmd.Entries, data[:len(data)/(1+c(2))])
			}
		}
	case *wire.FireJob:
		js, err := readJobStatus(f.kv, cmd.Namespace, cmd.Name)
		must(t, err)
		if js != nil {
			cmd.Revision, cmd.Seq = js.Revision, js.Seq
		}
		if cmd.Ahead() != 0 {
			cmd.Runs[0].Ahead = f.ahead.came + int64(c(5))
		}
	case *wire.BeginAhead:
		cmd.At = f.ahead.came + int64(c(4))
	}
	return cmd
}

func anyRun(c choose, id job.RunID, name string, at int64) *wire.CreateRun {
	cmd := &wire.CreateRun{
		Run: id, Master: oneOf(c, "", "", "m1"), Namespace: "d", Job: name,
		Priority: oneOf(c, 0, 1, -100, 100, 1<<40), Created: at, NotBefore: oneOf(c, 0, at+1, at+50),
		Key: oneOf(c, "", "x", "x", "y"), Epoch: uint64(oneOf(c, 0, 0, 3)),
		Line: oneOf(c, "", "", "k"), MaxQueued: uint64(c(3)), MaxQueuedAll: uint64(oneOf(c, 0, 0, 2)), Record: []byte{byte(c(2))},
		Keeps: c(2) == 0, KeepFor: time.Duration(c(2)), KeepRuns: c(3) - 1,
		Tags: oneOf(c, nil, nil, nil, []string{"t1"}, []string{"t1", "t2"}),
	}
	cmd.KeyFor = oneOf[time.Duration](c, 0, 5, 1<<62, -1) // the third is past the end of time
	if first, n, ok := strings.Cut(string(id), "#"); ok {
		cmd.Of, cmd.Attempt = job.RunID(first), int(n[0]-'0')
	}
	for i := range c(3) {
		cmd.Entries = append(cmd.Entries, bytes.Repeat([]byte{byte(i)}, i))
	}
	cmd.Chunks = uint64(oneOf(c, len(cmd.Entries), len(cmd.Entries), c(4)))
	return cmd
}

// anyNews returns a command about what jobs may listen to.
func anyNews(c choose, name string, at int64) wire.Command {
	switch c(6) {
	case 0, 1, 2:
		return &wire.PutEvent{Namespace: "d", Name: oneOf(c, "e1", "e2"), ID: oneOf(c, "x", "y", "z"), At: at, Data: bytes.Repeat([]byte("d"), oneOf(c, 0, 1, 9))}
	case 3:
		return &wire.ForgetEvent{Namespace: "d", Name: oneOf(c, "e1", "e2"), ID: oneOf(c, "x", "y", "z"), Before: at}
	case 4:
		if c(3) == 0 {
			return &wire.Agree{Version: c(3)}
		}
		return &wire.DropLetters{Namespace: "d", Name: name, Seqs: []uint64{uint64(c(3)), uint64(c(6))}}
	}
	what := oneOf(c, job.NodeJoins, job.NodeLeaves, job.NodeLeads, "odd")
	return &wire.NoteNode{What: what, Node: oneOf(c, "n1", "n2"), Life: uint64(c(3)), At: at}
}

func anyJob(c choose, name string, at int64) wire.Command {
	switch c(11) {
	case 8, 9, 10:
		return anyNews(c, name, at)
	case 0, 1, 2:
		return &wire.PutJob{
			Namespace: "d", Name: name, At: at, Wake: oneOf(c, 0, at+1), Expect: uint64(oneOf(c, 0, 0, 1)), Limit: c(3), Again: c(2) == 0,
			Overlap: oneOf(c, "", job.OverlapAllow, job.OverlapQueueOne, job.OverlapQueueAll, job.OverlapCancelOld, job.OverlapKillOld),
			Listens: oneOf(c, nil, nil, []string{"event:e1"}, []string{"event:e1", "event:e2"}, []string{"after:j", "after:k"}, []string{job.TopicNodes}),
			Keep:    c(2) == 0,
			Record:  []byte{byte(c(2))},
		}
	case 3:
		return &wire.DeleteJob{Namespace: "d", Name: name}
	}
	cmd := &wire.FireJob{
		Namespace: "d", Name: name, Revision: 1 + uint64(c(2)), Seq: uint64(c(8)),
		Cursor: at, Wake: oneOf(c, 0, at+1), Ended: c(4) == 0, At: at,
	}
	if c(3) == 0 {
		cmd.Hears, cmd.Heard, cmd.Memory = true, uint64(c(6)), bytes.Repeat([]byte("m"), c(9))
		for range c(3) {
			cmd.Consumed = append(cmd.Consumed, uint64(c(6)))
		}
		if c(2) == 0 {
			cmd.Refused = []wire.CauseCount{{Cause: "filter", N: 1}}
		}
	}
	for i := range c(3) {
		run := anyRun(c, job.RunID(fmt.Sprintf("d/%s@%d", name, 7+i)), name, at)
		run.Fired, run.Due, run.MaxQueued, run.MaxQueuedAll = true, at, 0, 0
		run.Key, run.Chunks = oneOf(c, "", "", "", "x"), uint64(len(run.Entries))
		run.Overlap = oneOf[uint64](c, 0, 0, 1, 2)
		cmd.Runs = append(cmd.Runs, run)
	}
	if c(2) == 0 {
		return firedAhead(c, cmd)
	}
	return cmd
}

// firedAhead makes of the settlement of a fire one that may be recorded ahead.
func firedAhead(c choose, cmd *wire.FireJob) *wire.FireJob {
	run := anyRun(c, job.RunID(fmt.Sprintf("d/%s@7", cmd.Name)), cmd.Name, cmd.At)
	run.Fired, run.Master, run.Key, run.MaxQueued, run.MaxQueuedAll = true, "m1", oneOf(c, "", "", "", "x"), 0, 0
	run.Chunks, run.NotBefore, run.Ahead = uint64(len(run.Entries)), 0, cmd.At+int64(c(3))
	cmd.Runs, cmd.Hears = []*wire.CreateRun{run}, c(9) == 0
	return cmd
}

// records returns what is in the store, by key.
func records(t testing.TB, kv *store.KV) map[string]string {
	t.Helper()
	all := map[string]string{}
	for p, err := range kv.Scan(nil) {
		must(t, err)
		all[string(p.Key)] = string(p.Value)
	}
	return all
}

// checkLaw fails unless every index and count says what the statuses of the
// runs do, and nothing else is there.
func checkLaw(t testing.TB, f *fsm) {
	t.Helper()
	all := records(t, f.kv)
	checkRemembered(t, f, all)
	left := map[string]bool{} // what nothing has explained yet
	for key := range all {
		left[key] = true
	}
	need := func(key []byte, why string) string {
		t.Helper()
		value, ok := all[string(key)]
		if !ok {
			t.Fatalf("%s: there is no record %q", why, key)
		}
		delete(left, string(key))
		return value
	}
	runs, counts := map[job.RunID]*wire.RunStatus{}, map[string]uint64{}
	for key := range all {
		if key[0] == 'h' {
			id := runOf([]byte(key), 0)
			st, err := readStatus(f.kv, id)
			must(t, err)
			runs[id] = st
			delete(left, key)
		}
	}
	live := 0
	for id, st := range runs {
		why := fmt.Sprintf("run %q, %+v", id, st)
		for seq := range st.Next {
			if len(st.Journal) > 0 {
				if _, _, err := readEntry(f.kv, id, st, seq); err != nil {
					t.Fatalf("%s: %v", why, err)
				}
				continue
			}
			need(entryKey(id, seq), why)
			for part := 1; part < maxParts; part++ {
				delete(left, string(partKey(entryKey(id, seq), part)))
			}
		}
		if st.Staged {
			need(stagedKey(id), why)
			if st.Next == 0 {
				t.Fatalf("%s: nothing is staged", why)
			}
			continue
		}
		if isLot(st) {
			checkLot(t, f, id, st, need, counts)
		}
		if !st.InLot {
			need(recordKey(id), why)
			for _, key := range listings(id, st) {
				if got := disordered([]byte(need(key, why))); got != st.Created {
					t.Fatalf("%s: it is listed as created at %d", why, got)
				}
			}
		} else if lot, i, ok := lotOf(id); !ok || !isLot(runs[lot]) || holds(runs[lot], i) {
			t.Fatalf("%s: it has not left its lot: %+v", why, runs[lot])
		}
		for n := max(st.Happened-min(st.Happened, maxHistory), told(st)); n < st.Happened; n++ {
			need(happeningKey(id, n), why)
		}
		if (st.Waits != wire.WaitsForNothing) != (st.State == job.Pending) {
			t.Fatalf("%s: it waits and does not", why)
		}
		if st.State == job.Running {
			need(unfinishedKey(id), why)
			if live++; f.live[id] == nil || f.live[id].Epoch != st.Epoch {
				t.Fatalf("%s: not so in memory: %+v", why, f.live[id])
			}
			if st.Master == "" || st.Epoch == 0 {
				t.Fatalf("%s: nobody runs it", why)
			}
		}
		switch st.Waits {
		case wire.WaitsForMaster:
			need(placeKey(lineKey('x', st.Priority, st.Namespace, st.Job, st.Line), id, st.Created), why)
			counts[string(lineKey('X', st.Priority, st.Namespace, st.Job, st.Line))]++
			counts[string(queuedKey(st.Namespace, st.Job))]++
			counts[string(allQueuedKey)]++
		case wire.WaitsForTime:
			need(dueKey(id, st.NotBefore), why)
		}
		if st.State.Done() && !isLot(st) {
			need(endedKey(st.Namespace, st.Job, id, st.Finished), why)
			counts[string(finishedKey(st.Namespace, st.Job))]++
			if !st.Compacted {
				need(uncompactedKey(id, st.Finished), why)
			}
		}
		if st.Of != "" {
			if got := need(attemptKey(st.Of, st.Attempt), why); got != string(id) {
				t.Fatalf("%s: it is listed as %q", why, got)
			}
		}
		if st.Key != "" && !st.State.Done() {
			if got := need(takenKey(st.Namespace, st.Job, st.Key), why); got[8:] != string(id) {
				t.Fatalf("%s: %q has its key", why, got[8:])
			}
		}
	}
	checkAhead(t, f, runs)
	if len(f.live) != live {
		t.Fatalf("%d runs are in memory, %d run", len(f.live), live)
	}
	for key, n := range counts {
		if got := binary.BigEndian.Uint64([]byte(need([]byte(key), "count"))); got != n {
			t.Fatalf("count %q is %d, there are %d", key, got, n)
		}
	}
	for key, value := range all {
		if key[0] == 'k' { // who has it is over, or it was seen above
			names := strings.Split(key[1:], "\x00")
			until, id := disordered([]byte(value)), job.RunID(value[8:])
			if st := runs[id]; st == nil || st.Staged || st.State.Done() || st.Key != names[2] || st.Job != names[1] {
				need(freeKey(names[0], names[1], names[2], until), "key of "+string(id))
			}
			delete(left, key)
		}
	}
	checkInboxes(t, f, all, left)
	checkBorn(t, f, runs, checkOpened(t, f, all, left))
	for key := range left {
		if !strings.ContainsRune("cviIsbyWPNmATSRGBpZC", rune(key[0])) {
			t.Fatalf("record %q belongs to nothing", key)
		}
	}
	checkJobs(t, all, runs)
}

// checkAhead checks that what is in memory of runs that were recorded ahead is as
// their statuses say, in the order of creation.
func checkAhead(t testing.TB, f *fsm, runs map[job.RunID]*wire.RunStatus) {
	t.Helper()
	came, err := readCame(f.kv)
	must(t, err)
	if f.ahead.came != came {
		t.Fatalf("what has come is %d in memory, and %d", f.ahead.came, came)
	}
	want, got := map[int64][]aheadRun{}, map[int64][]aheadRun{}
	for id, st := range runs {
		if st.Ahead > came && !st.State.Done() {
			want[st.Ahead] = append(want[st.Ahead], aheadRun{id, st.Born})
		}
	}
	for at, all := range f.ahead.runs {
		for _, run := range all {
			if st := runs[run.id]; isRun(st) && st.Born == run.born && st.Ahead == at && !st.State.Done() {
				got[at] = append(got[at], run)
			}
		}
	}
	for at := range want {
		slices.SortFunc(want[at], func(x, y aheadRun) int { return cmp.Compare(x.born, y.born) })
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("ahead are %v in memory, and %v", got, want)
	}
}

// checkLot checks what is kept of a lot, beside what is kept of a run as well.
func checkLot(t testing.TB, f *fsm, id job.RunID, l *wire.RunStatus, need func(key []byte, why string) string, counts map[string]uint64) {
	t.Helper()
	why := fmt.Sprintf("lot %q, %+v", id, l)
	kept, goes := uint64(0), false
	for i := range l.Lot {
		own, err := readOwnStatus(f.kv, job.InLot(id, int(i)))
		must(t, err)
		if own != nil && own.Staged { // what is left of one that was forgotten
			own = nil
		}
		if own != nil && own.InLot == holds(l, i) {
			t.Fatalf("%s: run %d is there twice, or is not of it: %+v", why, i, own)
		}
		st, err := inLot(f.kv, id, l, i)
		must(t, err)
		if st != nil || own != nil {
			kept++
		}
		goes = goes || st != nil && st.State == job.Running
		if st != nil && st.State.Done() {
			counts[string(finishedKey(l.Namespace, l.Job))]++
		}
	}
	if l.Kept != kept || kept == 0 || goes != (l.State == job.Running) {
		t.Fatalf("%s: %d of its runs are kept, and that any goes on is %v", why, kept, goes)
	}
	last := int64(0)
	for seq := range l.Next {
		end, err := readLotEnd(f.kv, id, l, seq)
		must(t, err)
		if len(end.last) == 0 || end.at <= last {
			t.Fatalf("%s: entry %d is %+v", why, seq, end)
		}
		last = end.at
		for it, err := range items(end.last) {
			must(t, err)
			if holds(l, it.n) {
				need(endedKey(l.Namespace, l.Job, id, end.at), why)
				break
			}
		}
	}
}

// checkOpened checks what is kept of bulk operations, and returns where they are
// in the order.
func checkOpened(t testing.TB, f *fsm, all map[string]string, left map[string]bool) (born []uint64) {
	t.Helper()
	for key := range all {
		if key[0] != 'O' {
			continue
		}
		names := splitNames([]byte(key[1:]))
		st, err := readOperation(f.kv, names[0], names[1])
		must(t, err)
		born = append(born, st.Born)
		need := map[string]bool{key: true}
		if !st.State.Over() {
			need[string(openedKey(names[0], names[1]))] = true
		}
		if st.Selects {
			need[string(selectionKey(names[0], names[1]))] = true
			for part := 1; part < maxParts; part++ {
				delete(left, string(partKey(selectionKey(names[0], names[1]), part)))
			}
		}
		if st.Once != "" {
			need[string(onceKey(names[0], st.Once))] = true
		}
		for key := range need {
			if !left[key] {
				t.Fatalf("operation %q, %+v: there is no record %q", names, st, key)
			}
			delete(left, key)
		}
		if st.Selects && st.State.Over() || len(st.Refusals) > job.MaxRefusals {
			t.Fatalf("operation %q keeps too much: %+v", names, st)
		}
	}
	return born
}

// checkBorn checks that no two have the same place in the order of all.
func checkBorn(t testing.TB, f *fsm, runs map[job.RunID]*wire.RunStatus, born []uint64) {
	t.Helper()
	for _, st := range runs {
		switch {
		case isLot(st):
			for i := range st.Lot {
				born = append(born, st.Born+i)
			}
		case !st.Staged && !st.InLot:
			born = append(born, st.Born)
		}
	}
	slices.Sort(born)
	last, err := readCount(f.kv, bornKey)
	must(t, err)
	if n := len(born); n > 0 && (born[0] == 0 || born[n-1] > last || len(slices.Compact(born)) != n) {
		t.Fatalf("the order of %d runs and operations up to %d has doubles or gaps at its ends: %v", n, last, born)
	}
}

// checkInboxes checks who listens to what, what waits for them, and which events
// are remembered.
func checkInboxes(t testing.TB, f *fsm, all map[string]string, left map[string]bool) {
	t.Helper()
	listen, waiting := map[string]bool{}, map[jobName]inbox{}
	for key, value := range all {
		names := splitNames([]byte(key[1:]))
		switch key[0] {
		case 'y':
			var js wire.JobStatus
			must(t, wire.DecodeRecord([]byte(value), &js))
			for _, name := range js.Listens {
				listen[string(listenKey(topicOf(names[0], name), jobName{names[0], names[1]}))] = true
			}
		case 'n':
			names = splitNames([]byte(key[1 : len(key)-8]))
			in := waiting[jobName{names[0], names[1]}]
			in.letters++
			in.bytes += uint64(len(value))
			waiting[jobName{names[0], names[1]}] = in
			delete(left, key)
		case 'E':
			old := string(oldEventKey(names[0], names[1], names[2], int64(binary.BigEndian.Uint64([]byte(value)))))
			if !left[old] {
				t.Fatalf("event %q is not going to be forgotten", key)
			}
			delete(left, old)
			delete(left, key)
		}
	}
	heard := 0
	for key := range all {
		switch names := splitNames([]byte(key[1:])); key[0] {
		case 't':
			if !listen[key] {
				t.Fatalf("nobody says that he listens, as %q has it", key)
			}
			if j := (jobName{names[2], names[3]}); !slices.Contains(f.listeners[topic{names[0], names[1]}], j) {
				t.Fatalf("%q is not so in memory: %v", key, f.listeners)
			}
			heard++
			delete(left, key)
		case 'o':
			j := jobName{names[0], names[1]}
			in, err := readInbox(f.kv, j)
			must(t, err)
			if want := waiting[j]; in.letters != want.letters || in.bytes != want.bytes {
				t.Fatalf("the inbox of %v has %+v, as it is counted %+v", j, want, in)
			}
			delete(waiting, j)
			delete(left, key)
		case 'M':
			delete(left, key)
		}
	}
	for _, jobs := range f.listeners {
		heard -= len(jobs)
	}
	if heard != 0 || len(waiting) > 0 || len(listen) != len(listenersOf(f)) {
		t.Fatalf("%d listeners too many, and letters that are not counted: %v", heard, waiting)
	}
}

func listenersOf(f *fsm) (all []string) {
	for t, jobs := range f.listeners {
		for _, j := range jobs {
			all = append(all, string(listenKey(t, j)))
		}
	}
	return all
}

// checkRemembered checks that what is kept in memory is what is in the store.
func checkRemembered(t testing.TB, f *fsm, all map[string]string) {
	t.Helper()
	paused := 0
	for key := range all {
		if key[0] == 'P' {
			paused++
			names := splitNames([]byte(key[1:]))
			if !f.obstacles.isPaused(jobName{names[0], names[1]}) {
				t.Fatalf("job %q is paused, and is not known to be", names)
			}
		}
	}
	if n := len(f.obstacles.paused); n != paused {
		t.Fatalf("%d jobs are taken to be paused, and %d are", n, paused)
	}
	queued, err := readCount(f.kv, allQueuedKey)
	must(t, err)
	if f.obstacles.queued != queued {
		t.Fatalf("%d runs are taken to wait, and %d do", f.obstacles.queued, queued)
	}
	for _, some := range []map[jobName]*wire.JobStatus{f.recent.young, f.recent.old} {
		for j := range some {
			got, err := wire.EncodeRecord(f.recent.get(j))
			must(t, err)
			if want := all[string(jobStatusKey(j.namespace, j.name))]; string(got) != want {
				t.Fatalf("job %v is taken to be %q, and is %q", j, got, want)
			}
		}
	}
}

// checkJobs checks what is kept of declared jobs.
func checkJobs(t testing.TB, all map[string]string, runs map[job.RunID]*wire.RunStatus) {
	t.Helper()
	wakes := 0
	for key, value := range all {
		switch key[0] {
		case 'W':
			wakes++
		case 'y':
			var js wire.JobStatus
			must(t, wire.DecodeRecord([]byte(value), &js))
			names := strings.Split(key[1:], "\x00")
			if js.Wake != 0 {
				wakes--
				if _, ok := all[string(wakeKey(names[0], names[1], js.Wake))]; !ok {
					t.Fatalf("job %q is not woken at %d", names, js.Wake)
				}
			}
			if n := len(js.Keys); n > 0 && n != len(js.Active) {
				t.Fatalf("job %q has %d runs that are not over, and keys of %d", names, len(js.Active), n)
			}
			for _, id := range js.Active {
				if st := runs[id]; st == nil || st.Staged || st.State.Done() {
					t.Fatalf("job %q takes run %q for one that is not over: %+v", names, id, st)
				}
			}
			if st := runs[js.Last]; js.Ahead != 0 && (!isRun(st) || st.Ahead > 0 && st.Ahead != js.Ahead || !slices.Contains(js.Active, js.Last)) {
				t.Fatalf("job %q takes run %q for one that was recorded ahead of %d: %+v", names, js.Last, js.Ahead, st)
			}
		}
	}
	if wakes != 0 {
		t.Fatalf("%d jobs too many are woken", wakes)
	}
}

// checkStep fails if a command did to a run what none may.
func checkStep(t testing.TB, c wire.Command, before, after *wire.RunStatus) {
	t.Helper()
	switch {
	case before == nil || before.Staged || after == nil || after.Staged:
		_, forget := c.(*wire.ForgetRun)
		_, together := c.(*wire.ForgetInLot)
		if before != nil && !before.Staged && before.Ahead == 0 && !((forget || together) && before.State.Done()) {
			t.Fatalf("%T removed %+v", c, before)
		}
	case after.Epoch < before.Epoch:
		t.Fatalf("%T set the epoch back from %d to %d", c, before.Epoch, after.Epoch)
	case before.State.Done() && (after.State != before.State || after.Finished != before.Finished ||
		after.Reason != before.Reason || after.Epoch != before.Epoch || after.Next != before.Next):
		t.Fatalf("%T changed a run that had ended from %+v to %+v", c, before, after)
	case after.State < before.State:
		t.Fatalf("%T set the state back from %v to %v", c, before.State, after.State)
	}
}

// again reports whether c may be repeated after a lost answer.
func repeatable(c wire.Command) bool {
	switch c := c.(type) { // of which each removes so many
	case *wire.DiscardStaged:
		return false
	case *wire.ForgetRun:
		return c.Limit == 0
	}
	return true
}

// obey carries out the commands that next returns on one store and checks
// after each that the law holds, then on others in other ways, and that they
// end up the same.
func obey(t testing.TB, next func(f *fsm) wire.Command) {
	t.Helper()
	one := openFSM(t, openKV(t, t.TempDir()))
	status := func() map[job.RunID]*wire.RunStatus {
		all := map[job.RunID]*wire.RunStatus{}
		for p, err := range one.kv.Scan([]byte("h")) {
			must(t, err)
			id := runOf(p.Key, 0)
			st, err := readStatus(one.kv, id)
			must(t, err)
			if !isLot(st) {
				all[id] = st
				continue
			}
			o := &openLot{g: one.kv, id: id, status: st}
			for at, err := range o.runs(false) {
				must(t, err)
				all[at.id] = at.status
			}
		}
		return all
	}
	var logs, twice []*raft.Log
	before, sum := status(), contents(t, one.kv)
	for i := 0; ; i++ {
		c := next(one)
		if c == nil {
			break
		}
		data := entryOf(t, c)
		l := &raft.Log{Index: uint64(1 + i), Type: raft.LogCommand, Data: data}
		logs = append(logs, l)
		if repeatable(c) {
			data = append(bytes.Clone(data), data...)
		}
		twice = append(twice, &raft.Log{Index: l.Index, Type: raft.LogCommand, Data: data})

		answers, ok := one.Apply(l).([]result)
		if !ok {
			t.Fatalf("command %d, %+v, stopped everything: %v", i, c, one.failure())
		}
		after, now := status(), contents(t, one.kv)
		if answers[0].err != nil && i > 0 && now != sum {
			t.Fatalf("command %d, %+v, was refused with %v and changed something", i, c, answers[0].err)
		}
		checkLaw(t, one)
		for id, st := range before {
			checkStep(t, c, st, after[id])
		}
		before, sum = after, now
	}
	want := persisted(t, one).Bytes()

	for name, how := range map[string]func(f *fsm){
		"at once": func(f *fsm) {
			for part := range slices.Chunk(logs, 16) {
				f.ApplyBatch(part)
			}
		},
		"with a short memory": func(f *fsm) {
			for _, l := range logs {
				f.Apply(l)
				f.recent = recent{}
			}
		},
		"twice each":      func(f *fsm) { f.ApplyBatch(twice) },
		"from a snapshot": func(f *fsm) { must(t, f.Restore(io.NopCloser(bytes.NewReader(want)))) },
		"replayed behind a snapshot": func(f *fsm) {
			f.ApplyBatch(logs[:len(logs)/2])
			half := persisted(t, f).Bytes()
			must(t, f.Restore(io.NopCloser(bytes.NewReader(half))))
			f.ApplyBatch(logs)
		},
	} {
		f := openFSM(t, openKV(t, t.TempDir()))
		how(f)
		must(t, f.failure())
		checkLaw(t, f)
		if got := persisted(t, f).Bytes(); !bytes.Equal(got, want) {
			differ(t, name, records(t, f.kv), records(t, one.kv))
			t.Fatalf("%s: the snapshot differs", name)
		}
	}
}

func differ(t testing.TB, name string, got, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: record %q is %.200q, want %.200q", name, key, got[key], value)
		}
		delete(got, key)
	}
	for key := range got {
		t.Errorf("%s: record %q is too many", name, key)
	}
}

func TestAnyCommandsKeepTheLaw(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	left := 1500
	obey(t, func(f *fsm) wire.Command {
		if left--; left < 0 {
			return nil
		}
		return fitting(t, chance.IntN, f, anyCommand(chance.IntN))
	})
}

// FuzzCommandsKeepTheLaw makes commands of the bytes it is given.
func FuzzCommandsKeepTheLaw(f *testing.F) {
	for seed := range uint64(4) {
		b := make([]byte, 300)
		_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > 1<<10 {
			return
		}
		next := func(n int) int {
			if len(b) == 0 {
				return 0
			}
			x := int(b[0]) % n
			b = b[1:]
			return x
		}
		obey(t, func(f *fsm) wire.Command {
			if len(b) == 0 {
				return nil
			}
			return fitting(t, next, f, anyCommand(next))
		})
	})
}
