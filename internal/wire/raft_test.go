package wire

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

func raftRequests() []*RaftRequest {
	return []*RaftRequest{
		{Kind: RaftAppend, Protocol: 3, Cluster: "c1", Founders: "f1", Term: 7},
		{
			Kind: RaftAppend, Protocol: 3, Cluster: "c1", Term: 7, Index: 11, LogTerm: 6, Commit: 10, First: 12, N: 3,
			Entries: []RaftEntry{
				{Term: 6, Type: EntryCommand, At: 1_000_000, Data: []byte("command")},
				{Term: 7, Type: EntryNoop, At: -1, Data: []byte{}},
				{Term: 7, Type: EntryConfiguration, Data: []byte("servers")},
			},
		},
		{Kind: RaftVote, Protocol: 3, Founders: "f1", Term: 8, Index: 14, LogTerm: 7, Handover: true},
		{Kind: RaftPreVote, Protocol: 3, Term: 8, Index: 14, LogTerm: 7},
		{Kind: RaftHandover, Protocol: 3, Cluster: "c1"},
		{Kind: RaftSnapshot, Protocol: 3, Term: 8, Index: 1 << 40, LogTerm: 7, Config: []byte("servers"), ConfigIndex: 3, Format: 1, Size: 1 << 33},
	}
}

func TestRaftRequestsComeBackAsTheyWere(t *testing.T) {
	for _, want := range raftRequests() {
		b, err := EncodeRaftRequest(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeRaftRequest(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		for n := range b {
			if _, err := DecodeRaftRequest(b[:n]); err == nil {
				t.Errorf("%d of %d bytes of %+v were taken", n, len(b), want)
			}
		}
	}
}

// Servers of two versions talk to each other: who changes the bytes makes
// another version.
func TestRaftMessagesKeepTheirBytes(t *testing.T) {
	want := []string{
		"01611184a17603a163a26331a166a26631a17407",
		"01611b88a17603a163a26331a17407a1690ba16c06a1640aa1650ca16e030600c0843d07636f6d6d616e640701ffffffffffffffffff01000705000773657276657273",
		"01761586a17603a166a26631a17408a1690ea16c07a168c3",
		"01700d84a17603a17408a1690ea16c07",
		"01680c83a17603a163a26331a17400",
		"01733488a17603a17408a169cf0000010000000000a16c07a173c40773657276657273a2736903a2736601a2737acf0000000200000000",
	}
	for i, q := range raftRequests() {
		b, err := EncodeRaftRequest(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(b); got != want[i] {
			t.Errorf("%c: got %s, want %s", q.Kind, got, want[i])
		}
	}
	b, err := EncodeRaftAnswer(&RaftAnswer{Protocol: 3, Cluster: "c1", Founders: "f1", Term: 7, Last: 12, Granted: true, Again: true})
	if got, want := hex.EncodeToString(b), "0187a17603a163a26331a166a26631a17407a16c0ca167c3a161c3"; err != nil || got != want {
		t.Errorf("answer: got %s, %v, want %s", got, err, want)
	}
}

func TestRaftAnswersComeBackAsTheyWere(t *testing.T) {
	want := &RaftAnswer{Protocol: 3, Cluster: "c1", Founders: "f1", Term: 7, Last: 12, Granted: true, Again: true}
	b, err := EncodeRaftAnswer(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRaftAnswer(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	for n := range b {
		if _, err := DecodeRaftAnswer(b[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken", n, len(b))
		}
	}
}

func TestRaftRequestOverTheLimitIsRefused(t *testing.T) {
	many := make([]RaftEntry, MaxRaftEntries+1)
	large := RaftEntry{Data: make([]byte, MaxRaftEntry)}
	for name, q := range map[string]*RaftRequest{
		"kind":        {Kind: 'z'},
		"entries":     {Kind: RaftAppend, First: 1, Entries: many},
		"bytes":       {Kind: RaftAppend, First: 1, Entries: []RaftEntry{large, large}},
		"entry":       {Kind: RaftAppend, First: 1, Entries: []RaftEntry{{Data: make([]byte, MaxRaftEntry+1)}}},
		"type":        {Kind: RaftAppend, First: 1, Entries: []RaftEntry{{Type: 2}}},
		"index":       {Kind: RaftAppend, Entries: many[:1]},
		"vote":        {Kind: RaftVote, First: 1, Entries: many[:1]},
		"head":        {Kind: RaftSnapshot, Config: make([]byte, maxHead)},
		"size":        {Kind: RaftSnapshot, Size: -1},
		"cluster":     {Kind: RaftVote, Cluster: strings.Repeat("c", maxRaftID+1)},
		"foundership": {Kind: RaftVote, Founders: strings.Repeat("f", maxRaftID+1)},
	} {
		if _, err := EncodeRaftRequest(q); err == nil {
			t.Errorf("%s: it was encoded", name)
		}
	}
	if _, err := EncodeRaftRequest(&RaftRequest{Kind: RaftAppend, First: 1, Entries: []RaftEntry{large}}); err != nil {
		t.Errorf("the largest entry can't be sent: %v", err)
	}
	if _, err := DecodeRaftRequest(make([]byte, MaxRaftRequest+1)); err == nil {
		t.Error("a request that is too long was taken")
	}
	if _, err := DecodeRaftAnswer(make([]byte, MaxRaftAnswer+1)); err == nil {
		t.Error("an answer that is too long was taken")
	}
}

func TestDecodingARaftRequestIsModest(t *testing.T) {
	q := raftRequests()[1]
	b, err := EncodeRaftRequest(q)
	if err != nil {
		t.Fatal(err)
	}
	claims := bytes.Replace(b, []byte("\xa1n\x03"), []byte("\xa1n\x7f"), 1) // 127 entries
	if bytes.Equal(b, claims) {
		t.Fatal("the number of entries is not where it was thought to be")
	}
	modest(t, len(claims), func() {
		if _, err := DecodeRaftRequest(claims); err == nil {
			t.Error("more entries than bytes were taken")
		}
	})
}

func FuzzRaftRequest(f *testing.F) {
	for _, q := range raftRequests() {
		b, err := EncodeRaftRequest(q)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := DecodeRaftRequest(b)
		if err != nil {
			return
		}
		again, err := EncodeRaftRequest(q)
		if err != nil {
			t.Fatalf("%+v was understood and can't be written: %v", q, err)
		}
		if got, err := DecodeRaftRequest(again); err != nil || !reflect.DeepEqual(got, q) {
			t.Fatalf("got %+v, %v after %+v", got, err, q)
		}
	})
}

func FuzzRaftAnswer(f *testing.F) {
	b, err := EncodeRaftAnswer(&RaftAnswer{Protocol: 3, Cluster: "c1", Term: 7, Last: 12, Granted: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DecodeRaftAnswer(b)
		if err != nil {
			return
		}
		again, err := EncodeRaftAnswer(a)
		if err != nil {
			t.Fatalf("%+v was understood and can't be written: %v", a, err)
		}
		if got, err := DecodeRaftAnswer(again); err != nil || !reflect.DeepEqual(got, a) {
			t.Fatalf("got %+v, %v after %+v", got, err, a)
		}
	})
}
