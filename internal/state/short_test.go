package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// TestAJournalThatGrowsStaysAsItWas has a journal move out of the status of its
// run, by its length and by the number of its entries.
func TestAJournalThatGrowsStaysAsItWas(t *testing.T) {
	for _, size := range []int{0, 1, shortBytes / 3, shortBytes, 2 * partSize} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := open(t, t.TempDir())
			entry := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, size) }
			run := newRun("d/j@1")
			run.Master = "m"
			_, err := s.Create(t.Context(), run, [][]byte{entry(0)})
			must(t, err)
			for n := 1; n < 2*shortItems; n++ {
				must(t, s.Append(t.Context(), run.ID, 1, uint64(n), [][]byte{entry(n)}))
				must(t, s.Append(t.Context(), run.ID, 1, uint64(n), [][]byte{entry(n)})) // again
				from := n / 2
				for e, err := range s.Journal(run.ID, uint64(from)) {
					must(t, err)
					if e.Seq != uint64(from) || !bytes.Equal(e.Data, entry(from)) {
						t.Fatalf("entry %d of %d: got number %d with %.20q", from, n, e.Seq, e.Data)
					}
					from++
				}
				if from != n+1 {
					t.Fatalf("the journal ends before entry %d of %d", from, n+1)
				}
				if got, err := s.Entry(run.ID, uint64(n)); err != nil || !bytes.Equal(got, entry(n)) {
					t.Fatalf("entry %d: got %.20q, %v", n, got, err)
				}
			}
			checkLaw(t, s.fsm)
			must(t, s.Finish(t.Context(), run.ID, 1, job.Succeeded, "", job.Progress{}))
			must(t, s.Forget(t.Context(), run.ID))
			checkLaw(t, s.fsm)
			for p, err := range s.kv.Scan(nil) {
				must(t, err)
				if bytes.Contains(p.Key, []byte(run.ID)) {
					t.Errorf("%q is left of the run", p.Key)
				}
			}
		})
	}
}

// TestAHistoryThatGrowsStaysAsItWas has only its beginning in the status.
func TestAHistoryThatGrowsStaysAsItWas(t *testing.T) {
	s := open(t, t.TempDir())
	run := newRun("d/j@1")
	run.Master = "m"
	_, err := s.Create(t.Context(), run, nil)
	must(t, err)
	want := []string{"created", "master m, epoch 1"}
	for i := range maxHistory + shortItems {
		what := fmt.Sprint("note ", i)
		want = append(want, what)
		must(t, s.Note(t.Context(), run.ID, 1, what))
		got, err := s.Run(run.ID)
		must(t, err)
		kept := want[max(len(want)-maxHistory, 0):]
		tail := got.History[len(got.History)-len(kept):]
		for j := range kept {
			if tail[j].What != kept[j] {
				t.Fatalf("after %q: got %q, want %q", what, tail[j].What, kept[j])
			}
		}
	}
	checkLaw(t, s.fsm)
}

// TestWhatIsNotShortIsReadWhereItIs reads a run of a server that kept every
// entry and happening as a record.
func TestWhatIsNotShortIsReadWhereItIs(t *testing.T) {
	s := open(t, t.TempDir())
	id := created(t, s, "d/j@1", []byte("a"), []byte("b"))
	want, err := s.Run(id)
	must(t, err)
	st, err := readStatus(s.kv, id)
	must(t, err)
	b, err := s.kv.Batch()
	must(t, err)
	for seq, e := range []string{"a", "b"} {
		must(t, putEntry(b, id, uint64(seq), 0, []byte(e)))
	}
	n := uint64(0)
	for it, err := range items(st.History) {
		must(t, err)
		must(t, b.Put(happeningKey(id, n), binary.BigEndian.AppendUint64(nil, it.n), it.data))
		n++
	}
	st.Journal, st.History = nil, nil
	record, err := wire.EncodeRecord(st)
	must(t, err)
	must(t, errors.Join(b.Put(statusKey(id), record), b.Put(versionKey, []byte{lineLayout}), b.Commit()))
	must(t, s.fsm.load())
	checkLaw(t, s.fsm)
	got, err := s.Run(id)
	must(t, err)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if e, err := s.Entry(id, 1); err != nil || string(e) != "b" {
		t.Errorf("got %q, %v", e, err)
	}
}
