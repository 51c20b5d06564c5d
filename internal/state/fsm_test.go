package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// contents is a hash of all records but the cursor.
func contents(t testing.TB, kv *store.KV) [32]byte {
	t.Helper()
	sum := sha256.New()
	for p, err := range kv.Scan(nil) {
		must(t, err)
		if !bytes.Equal(p.Key, cursorKey) && !bytes.Equal(p.Key, bornKey) { // which say how much there ever was
			fmt.Fprintf(sum, "%d %d ", len(p.Key), len(p.Value))
			sum.Write(p.Key)
			sum.Write(p.Value)
		}
	}
	return [32]byte(sum.Sum(nil))
}

func openKV(t testing.TB, dir string) *store.KV {
	t.Helper()
	kv, err := store.Open(dir, store.Options{Reserve: -1})
	must(t, err)
	t.Cleanup(func() { must(t, kv.Close()) })
	return kv
}

func openFSM(t testing.TB, kv *store.KV) *fsm {
	t.Helper()
	s := &State{log: discard}
	f, err := newFSM(kv, newHub(), t.TempDir(), s.log, nil)
	must(t, err)
	return f
}

// randomCommand returns a command that may be refused or not.
func randomCommand(chance *rand.Rand) wire.Command {
	id := job.RunID(fmt.Sprintf("d/j@%d", chance.IntN(5)))
	blob := func() []byte { return bytes.Repeat([]byte{byte(chance.IntN(3))}, chance.IntN(4)) }
	if chance.IntN(20) == 0 {
		blob = func() []byte { return bytes.Repeat([]byte{byte(chance.IntN(3))}, chance.IntN(900<<10)) }
	}
	epoch, seq := uint64(chance.IntN(4)), uint64(chance.IntN(6))
	switch chance.IntN(12) {
	case 0:
		return &wire.CreateRun{Run: id, Record: blob(), Chunks: uint64(chance.IntN(3)), Master: []string{"", "m"}[chance.IntN(2)]}
	case 1:
		return &wire.CreateRun{Run: id, Record: blob(), Chunks: 2, Entries: [][]byte{blob(), blob()}}
	case 2, 3:
		return &wire.StageEntry{Run: id, Seq: seq % 3, Entry: blob()}
	case 4:
		return &wire.DiscardStaged{Run: id, Limit: epoch}
	case 5:
		return &wire.AssignRun{Run: id, Master: "m2"}
	case 6:
		return &wire.FinishRun{Run: id, Epoch: epoch, State: job.Succeeded, At: 7, Progress: blob()}
	case 7:
		return &wire.CancelRun{Run: id, Reason: "r"}
	case 8:
		return &wire.PutJob{Namespace: "d", Name: string(id), Record: blob()}
	case 9:
		return &wire.DeleteJob{Namespace: "d", Name: string(id)}
	}
	return &wire.AppendEntries{Run: id, Epoch: epoch, First: seq, Entries: [][]byte{blob(), blob()}}
}

func entryOf(t testing.TB, cs ...wire.Command) []byte {
	t.Helper()
	var entry []byte
	for _, c := range cs {
		b, err := wire.EncodeCommand(c)
		must(t, err)
		entry = append(entry, b...)
	}
	return entry
}

func texts(t testing.TB, answers []any) (got []string) {
	t.Helper()
	for _, a := range answers {
		results, ok := a.([]result)
		if !ok {
			t.Fatalf("nothing is carried out any more: %v", a)
		}
		for _, r := range results {
			got = append(got, fmt.Sprint(r.err, r.left, r.status))
		}
	}
	return got
}

func TestSameCommandsMakeSameState(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	var logs []*raft.Log
	for i := range 150 {
		var cs []wire.Command
		for range 1 + chance.IntN(12) {
			cs = append(cs, randomCommand(chance))
		}
		logs = append(logs, &raft.Log{Index: uint64(2 + 2*i), Type: raft.LogCommand, Data: entryOf(t, cs...)})
	}

	one := openFSM(t, openKV(t, t.TempDir()))
	var want []string
	for _, l := range logs {
		want = append(want, texts(t, []any{one.Apply(l)})...)
	}

	// The other takes them in batches, and forgets what it has in memory.
	kv := openKV(t, t.TempDir())
	two := openFSM(t, kv)
	var got []string
	for left := logs; len(left) > 0; {
		n := 1 + chance.IntN(min(len(left), 20))
		got = append(got, texts(t, two.ApplyBatch(left[:n]))...)
		left = left[n:]
		if chance.IntN(3) == 0 {
			two = openFSM(t, kv)
		}
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("command %d: got %s, want %s", i, got[i], want[i])
		}
	}
	if contents(t, kv) != contents(t, one.kv) {
		t.Fatal("the same commands made different states")
	}
	// And once more from the beginning changes nothing.
	two.ApplyBatch(logs)
	must(t, two.failure())
	if contents(t, kv) != contents(t, one.kv) {
		t.Fatal("commands that were carried out were carried out again")
	}
}

// A command in the log is there for every node and every restart: one that
// can't be stored is refused, whoever let it in.
func TestWhatCannotBeStoredIsRefusedAndStopsNothing(t *testing.T) {
	kv := openKV(t, t.TempDir())
	f := openFSM(t, kv)
	long := strings.Repeat("n", 4<<10)
	run := job.RunID("d/j@1")
	for i, c := range []struct {
		wire.Command
		want error
	}{
		{&wire.CreateRun{Run: run, Record: []byte("run"), Master: "m"}, nil},
		{&wire.FinishRun{Run: run, Epoch: 1, State: job.Failed, Progress: make([]byte, store.MaxValue)}, ErrInvalid},
		{&wire.CreateRun{Run: job.RunID(long)}, ErrInvalid},
		{&wire.StageEntry{Run: ""}, ErrInvalid},
		{&wire.StageEntry{Run: "a\x00b"}, ErrInvalid},
		{&wire.StageEntry{Run: "d/j@3", Entry: make([]byte, store.MaxBatch)}, ErrInvalid},
		{&wire.PutJob{Namespace: "d", Name: long}, ErrInvalid},
		{&wire.DeleteJob{Namespace: "d", Name: "\x00"}, ErrInvalid},
		{&wire.AppendEntries{Run: run, Epoch: 1, Entries: [][]byte{[]byte("e")}}, nil},
		{&wire.FinishRun{Run: run, Epoch: 1, State: job.Failed, Progress: make([]byte, maxProgress)}, nil},
		{&wire.FinishRun{Run: run, Epoch: 1, State: job.Failed, Progress: make([]byte, maxProgress)}, nil}, // again
	} {
		log := &raft.Log{Index: uint64(i + 1), Type: raft.LogCommand, Data: entryOf(t, c.Command)}
		results, ok := f.Apply(log).([]result)
		if !ok {
			t.Fatalf("command %d stopped everything: %v", i, f.failure())
		}
		if got := results[0].err; !errors.Is(got, c.want) {
			t.Errorf("command %d: got %v, want %v", i, got, c.want)
		}
	}
	again := openFSM(t, kv)
	must(t, again.failure())
	if len(again.live) > 0 {
		t.Errorf("left unfinished: %v", again.live)
	}
}

func TestEntryThatWasHalfWrittenIsFinished(t *testing.T) {
	var cs []wire.Command
	for i := range 5 { // together above what one write takes
		cs = append(cs,
			&wire.StageEntry{Run: "d/j@1", Seq: uint64(i), Entry: bytes.Repeat([]byte{byte(i)}, 700<<10)},
			&wire.AssignRun{Run: "d/k@1", Master: "m"})
	}
	cs = append([]wire.Command{&wire.CreateRun{Run: "d/k@1"}}, cs...)
	l := &raft.Log{Index: 5, Type: raft.LogCommand, Data: entryOf(t, cs...)}

	whole := openFSM(t, openKV(t, t.TempDir()))
	whole.Apply(l)
	must(t, whole.failure())
	for n := range cs {
		kv := openKV(t, t.TempDir())
		half := openFSM(t, kv)
		tx, err := half.begin()
		must(t, err)
		for _, c := range cs[:n] {
			_, err := tx.command(c)
			must(t, err)
			tx.at = cursor{l.Index, tx.at.Done + 1}
		}
		must(t, tx.commit())
		tx.end()

		rest := openFSM(t, kv)
		rest.Apply(l)
		must(t, rest.failure())
		if rest.at != whole.at || contents(t, kv) != contents(t, whole.kv) {
			t.Fatalf("after a crash behind %d commands the state differs", n)
		}
	}
}

func TestUnknownCommandStopsTheNode(t *testing.T) {
	for name, spoil := range map[string]func(b []byte){
		"version": func(b []byte) { b[4] = 99 },
		"kind":    func(b []byte) { b[5] = '?' },
	} {
		t.Run(name, func(t *testing.T) {
			f := openFSM(t, openKV(t, t.TempDir()))
			data := entryOf(t, &wire.CreateRun{Run: "d/j@1"})
			spoil(data)
			err, _ := f.Apply(&raft.Log{Index: 1, Data: data}).(error)
			refused(t, err, ErrBroken)
			refused(t, err, wire.ErrUnknownCommand)
			good := entryOf(t, &wire.CreateRun{Run: "d/k@1"})
			err, _ = f.Apply(&raft.Log{Index: 2, Data: good}).(error)
			refused(t, err, ErrBroken)
			if f.at.Index != 0 {
				t.Fatalf("the cursor went to %v", f.at)
			}
			_, err = f.Snapshot()
			refused(t, err, ErrBroken)
		})
	}
}

func TestUnknownCommandInTheLogFailsOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	data := entryOf(t, &wire.CreateRun{Run: "d/j@1"})
	data[5] = '?'
	err := s.raft.Apply(data, 0)
	must(t, err.Error())
	refuseCreate(t, s, newRun("d/k@1"), ErrBroken)
	closed(t, s)
	_, openErr := openLone(t.Context(), config(dir))
	refused(t, openErr, ErrBroken)
}

func TestDamagedRecordIsNotAbsence(t *testing.T) {
	s := open(t, t.TempDir())
	long := bytes.Repeat([]byte("a"), shortBytes)
	id := created(t, s, "d/j@1", long, long, long)
	b, err := s.kv.Batch()
	must(t, err)
	must(t, errors.Join(b.Delete(entryKey(id, 1)), b.Commit()))
	_, err = s.Entry(id, 1)
	refused(t, err, store.ErrCorrupt)
	var last error
	for _, err := range s.Journal(id, 0) {
		last = err
	}
	refused(t, last, store.ErrCorrupt)
}

func logOf(t testing.TB, index uint64, cs ...wire.Command) *raft.Log {
	t.Helper()
	return &raft.Log{Index: index, Type: raft.LogCommand, Data: entryOf(t, cs...)}
}
