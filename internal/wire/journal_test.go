package wire

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

func entries() []Entry {
	return []Entry{
		{Kind: EntryTasks, N: 2, Blob: []byte{0, 0, 0, 0}},
		{Kind: EntryPairs, N: 1, Task: job.TaskID{Kind: job.KindReduce, N: 3}, Epoch: 2, Attempt: 4, Index: 5, Blob: []byte("pairs")},
		{Kind: EntryOutcomes, N: 3, Epoch: 1, Members: []MemberCount{{"a", 1}, {"b", 2}}, Blob: []byte("outcomes")},
		{Kind: EntryTasks, Blob: []byte{}},
		{Kind: EntryIntent, N: 1, Epoch: 2, Member: "a", Name: "ada", Life: 7, Blob: []byte("rows")},
		{Kind: EntryLoss, N: 1, Epoch: 2, Member: "a", Name: "ada", Blob: []byte("rows")},
		{Kind: EntryHandover, Epoch: 2, Blob: []byte{}},
	}
}

func entryBytes(t testing.TB, e Entry) []byte {
	t.Helper()
	b, err := EncodeEntry(&e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	for i, want := range entries() {
		got, err := DecodeEntry(entryBytes(t, want))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("entry %d: got %+v, %v, want %+v", i, got, err, want)
		}
	}
}

// The bytes are in journals on disks: who changes them makes another kind of
// entry.
func TestEntriesKeepTheirBytes(t *testing.T) {
	want := []string{
		"740d82a16e02a17482a16b00a16e00" + "00000000",
		"701685a16e01a17482a16b72a16e03a16502a16104a16905" + "7061697273",
		"6f2384a16e03a17482a16b00a16e00a16501a16d9282a16da161a16e0182a16da162a16e02" + "6f7574636f6d6573",
		"740a81a17482a16b00a16e00",
		"691d86a16e01a17482a16b00a16e00a16502a162a161a163a3616461a16c07" + "726f7773",
		"6c1a85a16e01a17482a16b00a16e00a16502a162a161a163a3616461" + "726f7773",
		"680d82a17482a16b00a16e00a16502",
	}
	for i, e := range entries() {
		if got := hex.EncodeToString(entryBytes(t, e)); got != want[i] {
			t.Errorf("entry %d: got %s, want %s", i, got, want[i])
		}
	}
}

func TestEntryThatClaimsWhatItCannotHoldIsRefused(t *testing.T) {
	crowd := make([]MemberCount, 4000)
	for i := range crowd {
		crowd[i] = MemberCount{fmt.Sprint("a member with a longer ID ", i), 1}
	}
	for name, e := range map[string]Entry{
		"tasks in no bytes":   {Kind: EntryTasks, N: 1},
		"more than bytes":     {Kind: EntryPairs, N: 1 << 20, Blob: []byte("pairs")},
		"negative count":      {Kind: EntryTasks, N: -1, Blob: []byte("x")},
		"negative task":       {Kind: EntryTasks, Task: job.TaskID{Kind: job.KindMap, N: -1}},
		"negative attempt":    {Kind: EntryTasks, Attempt: -1},
		"negative index":      {Kind: EntryTasks, Index: -1},
		"member's too many":   {Kind: EntryOutcomes, N: 1, Members: []MemberCount{{"a", 2}}, Blob: []byte("x")},
		"member's negative":   {Kind: EntryOutcomes, N: 1, Members: []MemberCount{{"a", -1}}, Blob: []byte("x")},
		"unknown kind":        {Kind: 'z'},
		"no kind":             {},
		"head over its limit": {Kind: EntryOutcomes, N: 4000, Members: crowd, Blob: make([]byte, 4000)},
	} {
		if _, err := EncodeEntry(&e); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
	for _, b := range []string{"", "74", "7404", "740481a16e", "740481a16e01", "7a0180", "7401c1", "74ffffffff0f80", "740481a16eff"} {
		raw, err := hex.DecodeString(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeEntry(raw); err == nil {
			t.Errorf("%s: got %+v", b, got)
		}
	}
}

func TestWantsLooksAtTheKind(t *testing.T) {
	b := entryBytes(t, entries()[1])
	for _, c := range []struct {
		kinds []EntryKind
		want  bool
	}{
		{nil, true},
		{[]EntryKind{EntryPairs}, true},
		{[]EntryKind{EntryOutcomes, EntryPairs}, true},
		{[]EntryKind{EntryTasks, EntryOutcomes}, false},
	} {
		if got := (&JournalRef{Kinds: c.kinds}).Wants(b); got != c.want {
			t.Errorf("%q: got %v, want %v", c.kinds, got, c.want)
		}
	}
	if (&JournalRef{Kinds: []EntryKind{EntryTasks}}).Wants(nil) {
		t.Error("an entry of no bytes is of a kind")
	}
}

func FuzzEntry(f *testing.F) {
	for _, e := range entries() {
		f.Add(entryBytes(f, e))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got *Entry
		var err error
		modest(t, len(b), func() { got, err = DecodeEntry(b) })
		if err != nil {
			return
		}
		again, err := DecodeEntry(entryBytes(t, *got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("got %+v, %v after %+v", again, err, got)
		}
	})
}
