package state

import (
	"testing"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/wire"
)

// Whatever another server sends is refused or understood: raft itself would
// end the process over a configuration that is none.
func FuzzRequestOfAServer(f *testing.F) {
	conf := raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}, {ID: "b", Address: "b", Suffrage: raft.Nonvoter}}})
	for _, q := range []*wire.RaftRequest{
		{Kind: wire.RaftAppend, Protocol: 3, Term: 7},
		{Kind: wire.RaftAppend, Protocol: 3, Term: 7, First: 1, Entries: []wire.RaftEntry{{Term: 1, Type: wire.EntryConfiguration, Data: conf}}},
		{Kind: wire.RaftSnapshot, Protocol: 3, Term: 7, Index: 9, LogTerm: 6, Config: conf, ConfigIndex: 1, Format: 1, Size: 100},
		{Kind: wire.RaftVote, Protocol: 3, Term: 8, Handover: true},
		{Kind: wire.RaftPreVote, Protocol: 3, Term: 8},
		{Kind: wire.RaftHandover, Protocol: 3},
	} {
		b, err := wire.EncodeRaftRequest(q)
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := wire.DecodeRaftRequest(b)
		if err != nil {
			return
		}
		command, err := commandOf("a", q)
		if err != nil {
			return
		}
		if _, ok := command.(raft.WithRPCHeader); !ok {
			t.Fatalf("got %T, which raft does not take", command)
		}
	})
}
