package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/musterhq/muster/internal/codec"
)

// Servers replicate the state among themselves. What they say to each other
// for that is one kind of request and one of answer: a small head, and the
// entries of the log, which nobody opens on the way.

const (
	raftVersion = 1
	// MaxRaftEntry bounds the data of one entry of the log: a command and what
	// frames it.
	MaxRaftEntry = MaxCommand + 4
	// MaxRaftEntries bounds how many entries one request carries.
	MaxRaftEntries = 256
	// MaxRaftRequest bounds an encoded request.
	MaxRaftRequest = MaxRaftEntry + 1<<20
	// MaxRaftAnswer bounds an encoded answer.
	MaxRaftAnswer = 1 << 10
	// maxRaftID bounds the ID of a cluster and the digest of its founders.
	maxRaftID = 64
)

// RaftKind tells requests apart.
type RaftKind byte

// The kinds of request.
const (
	RaftAppend   RaftKind = 'a' // entries of the log, or none to say who leads
	RaftVote     RaftKind = 'v' // asks for a vote
	RaftPreVote  RaftKind = 'p' // asks whether there would be a vote
	RaftSnapshot RaftKind = 's' // the whole state follows
	RaftHandover RaftKind = 'h' // asks the receiver to lead
)

// The types of entry, as raft numbers them. The deprecated ones between them
// are never written here.
const (
	EntryCommand       = 0
	EntryNoop          = 1
	EntryBarrier       = 4
	EntryConfiguration = 5
)

// RaftRequest is what one server says to another. Who it is from is known
// from the session.
type RaftRequest struct {
	Kind RaftKind `msgpack:"-"`
	// Protocol is the version of raft's protocol.
	Protocol int `msgpack:"v"`
	// Cluster is the ID of the sender's cluster, and Founders a digest of
	// the servers that it began with. Empty is not known.
	Cluster  string `msgpack:"c,omitempty"`
	Founders string `msgpack:"f,omitempty"`

	Term uint64 `msgpack:"t"`
	// Index and LogTerm are of the entry before the entries of an append, of
	// the last one that who asks for a vote has, and of the last one that a
	// snapshot stands for.
	Index   uint64 `msgpack:"i,omitempty"`
	LogTerm uint64 `msgpack:"l,omitempty"`
	// Commit is how far the log is decided.
	Commit uint64 `msgpack:"d,omitempty"`
	// Handover says that the leader wants the sender to be the next.
	Handover bool `msgpack:"h,omitempty"`

	// Of a snapshot: the servers as of ConfigIndex, its format and its size.
	Config      []byte `msgpack:"s,omitempty"`
	ConfigIndex uint64 `msgpack:"si,omitempty"`
	Format      int    `msgpack:"sf,omitempty"`
	Size        int64  `msgpack:"sz,omitempty"`

	// Entries follow each other without a gap, the first under First.
	First   uint64      `msgpack:"e,omitempty"`
	N       int         `msgpack:"n,omitempty"`
	Entries []RaftEntry `msgpack:"-"`
}

// RaftEntry is one entry of the log.
type RaftEntry struct {
	Term uint64
	Type byte
	At   int64 // when its leader appended it, nanoseconds since 1970
	Data []byte
}

// RaftAnswer answers a RaftRequest of any kind.
type RaftAnswer struct {
	Protocol int    `msgpack:"v"`
	Cluster  string `msgpack:"c,omitempty"`
	Founders string `msgpack:"f,omitempty"`
	Term     uint64 `msgpack:"t"`
	// Last is the last entry of an appender's log.
	Last uint64 `msgpack:"l,omitempty"`
	// Granted says that the answer is yes.
	Granted bool `msgpack:"g,omitempty"`
	// Again says that to ask anew at once is right.
	Again bool `msgpack:"a,omitempty"`
}

func (q *RaftRequest) check() error {
	switch {
	case q.Kind != RaftAppend && q.Kind != RaftVote && q.Kind != RaftPreVote && q.Kind != RaftSnapshot && q.Kind != RaftHandover:
		return fmt.Errorf("wire: raft request of kind %q, of which this node knows none: upgrade it", byte(q.Kind))
	case q.N < 0 || q.N > MaxRaftEntries:
		return fmt.Errorf("wire: raft request with %d entries, the limit is %d", q.N, MaxRaftEntries)
	case q.N > 0 && (q.Kind != RaftAppend || q.First == 0):
		return fmt.Errorf("wire: raft request of kind %q with entries from %d on", byte(q.Kind), q.First)
	case q.Size < 0:
		return fmt.Errorf("wire: snapshot of %d bytes", q.Size)
	}
	return checkIDs(q.Cluster, q.Founders)
}

func checkIDs(cluster, founders string) error {
	if len(cluster) > maxRaftID || len(founders) > maxRaftID {
		return fmt.Errorf("wire: cluster ID of %d bytes, or founders of %d, the limit is %d", len(cluster), len(founders), maxRaftID)
	}
	return nil
}

func (e *RaftEntry) check() error {
	switch e.Type {
	case EntryCommand, EntryNoop, EntryBarrier, EntryConfiguration:
	default:
		return fmt.Errorf("wire: log entry of type %d, of which this node knows none: upgrade it", e.Type)
	}
	if len(e.Data) > MaxRaftEntry {
		return fmt.Errorf("wire: log entry of %d bytes, the limit is %d", len(e.Data), MaxRaftEntry)
	}
	return nil
}

// perRaftEntry is an upper bound of what an entry takes beyond its data.
const perRaftEntry = 1 + 2*binary.MaxVarintLen64 + binary.MaxVarintLen32

// RaftEntrySize is an upper bound of what an entry with so many bytes of data
// takes in a request.
func RaftEntrySize(data int) int { return data + perRaftEntry }

// EncodeRaftRequest returns the bytes of q. It refuses what DecodeRaftRequest
// would.
func EncodeRaftRequest(q *RaftRequest) ([]byte, error) {
	q.N = len(q.Entries)
	if err := q.check(); err != nil {
		return nil, err
	}
	head, err := codec.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("wire: raft request: %w", err)
	}
	size := 2 + binary.MaxVarintLen32 + len(head)
	for i := range q.Entries {
		if err := q.Entries[i].check(); err != nil {
			return nil, err
		}
		size += RaftEntrySize(len(q.Entries[i].Data))
	}
	if len(head) > maxHead || size > MaxRaftRequest {
		return nil, fmt.Errorf("wire: raft request of %d bytes, %d of them its head, the limit is %d and %d", size, len(head), MaxRaftRequest, maxHead)
	}
	b := append(make([]byte, 0, size), raftVersion, byte(q.Kind))
	b = appendBytes(b, head)
	for i := range q.Entries {
		e := &q.Entries[i]
		b = binary.AppendUvarint(b, e.Term)
		b = append(b, e.Type)
		b = binary.AppendUvarint(b, uint64(e.At))
		b = appendBytes(b, e.Data)
	}
	return b, nil
}

// DecodeRaftRequest returns the request in b, which its entries share.
func DecodeRaftRequest(b []byte) (*RaftRequest, error) {
	if len(b) > MaxRaftRequest {
		return nil, fmt.Errorf("wire: raft request of %d bytes, the limit is %d", len(b), MaxRaftRequest)
	}
	r := reader{b: b}
	version, kind := r.byte(), r.byte()
	if r.err == nil && version != raftVersion {
		return nil, fmt.Errorf("wire: raft request of version %d, this node knows %d: upgrade the older one", version, raftVersion)
	}
	q := &RaftRequest{}
	head := r.bytes(maxHead)
	if r.err != nil {
		return nil, r.err
	}
	if err := codec.Unmarshal(head, q); err != nil {
		return nil, fmt.Errorf("wire: raft request: %w", err)
	}
	q.Kind = RaftKind(kind)
	if err := q.check(); err != nil {
		return nil, err
	}
	if q.N > len(r.b)/4 { // the least that an entry takes
		return nil, errShort
	}
	if q.N > 0 {
		q.Entries = make([]RaftEntry, q.N)
	}
	for i := range q.Entries {
		e := &q.Entries[i]
		e.Term, e.Type, e.At = r.uvarint(), r.byte(), int64(r.uvarint())
		e.Data = r.bytes(MaxRaftEntry)
		if r.err != nil {
			return nil, r.err
		}
		if err := e.check(); err != nil {
			return nil, err
		}
	}
	if len(r.b) > 0 {
		return nil, fmt.Errorf("wire: %d bytes after a raft request", len(r.b))
	}
	return q, nil
}

// EncodeRaftAnswer returns the bytes of a. It refuses what DecodeRaftAnswer
// would.
func EncodeRaftAnswer(a *RaftAnswer) ([]byte, error) {
	if err := checkIDs(a.Cluster, a.Founders); err != nil {
		return nil, err
	}
	head, err := codec.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("wire: raft answer: %w", err)
	}
	return append([]byte{raftVersion}, head...), nil
}

// DecodeRaftAnswer returns the answer in b.
func DecodeRaftAnswer(b []byte) (*RaftAnswer, error) {
	if len(b) == 0 {
		return nil, errShort
	}
	if len(b) > MaxRaftAnswer {
		return nil, fmt.Errorf("wire: raft answer of %d bytes, the limit is %d", len(b), MaxRaftAnswer)
	}
	if b[0] != raftVersion {
		return nil, fmt.Errorf("wire: raft answer of version %d, this node knows %d: upgrade the older one", b[0], raftVersion)
	}
	a := &RaftAnswer{}
	if err := codec.Unmarshal(b[1:], a); err != nil {
		return nil, fmt.Errorf("wire: raft answer: %w", err)
	}
	return a, checkIDs(a.Cluster, a.Founders)
}

// FoundCluster gives the state the ID of its cluster. The first one counts.
type FoundCluster struct {
	Cluster string `msgpack:"c"`
}

func (*FoundCluster) kind() byte            { return 'i' }
func (*FoundCluster) blobs() [][]byte       { return nil }
func (*FoundCluster) take(b [][]byte) error { return only(b) }

// ServerStatus is what a server tells of its share of the state.
type ServerStatus struct {
	// Commands is the latest version of commands that it carries out.
	Commands int `msgpack:"v,omitempty"`

	Cluster  string `msgpack:"c,omitempty"`
	Founders string `msgpack:"f,omitempty"`
	Leader   string `msgpack:"l,omitempty"`
	// Empty says that it has no part in any cluster yet.
	Empty   bool   `msgpack:"e,omitempty"`
	Term    uint64 `msgpack:"t,omitempty"`
	Applied uint64 `msgpack:"a,omitempty"` // the last entry it carried out
	Last    uint64 `msgpack:"n,omitempty"` // the last entry of its log
	// Full says that it has little room on its disk, Roomy that it could lead
	// for one that has little, Stuck that its disk does not answer.
	Full  bool `msgpack:"d,omitempty"`
	Roomy bool `msgpack:"r,omitempty"`
	Stuck bool `msgpack:"s,omitempty"`
}
