package state

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// The keys of the store. Every key begins with a letter for what it holds.
// Names are ended by a zero byte, which no name contains, so that no name's
// keys lie among another's and records are in the order of the names. What may
// be larger than a record is kept in parts, and its key ends with the number
// of the part.
//
//	c                       cursor: which entry of the log was applied last
//	v                       version of this layout
//	i                       ID of the cluster
//	I                       ID of the one that it was restored from, the first if there were several
//	A                       version of commands that every server understands
//	r id 0 part             a run as it was created
//	h id 0                  its status
//	l id 0 n                happening number n of its history, unless its status has it
//	j id 0 seq part         entry number seq of its journal, unless its status has all
//	u id 0                  it has begun and has no final state
//	g id 0                  there are entries, but no run
//	a id 0 n                it was tried again, as attempt n: the ID of that
//	x rank namespace 0 job 0 line 0 created id 0  it waits for a master
//	X rank namespace 0 job 0 line 0    how many do in that line
//	d time id 0             it waits for a time
//	w time id 0             it has ended, then, and was not compacted yet
//	e namespace 0 job 0 time id 0   it has ended, then, or those of a lot that one entry of its journal names
//	k namespace 0 job 0 key 0       a run has that key: until when, and its ID
//	K time namespace 0 job 0 key 0  a key whose run has ended and that is free then
//	q namespace 0 job 0     how many runs of the job wait for a master
//	f namespace 0 job 0     how many have ended
//	Q                       how many runs wait for a master in all
//	s namespace 0 job 0 part    the spec of a declared job
//	b namespace 0 job 0 n part  entry number n of its input
//	R namespace 0 job 0 n part  its revision number n: when it was saved, and the spec
//	y namespace 0 job 0     its status, and what became of its fires
//	W time namespace 0 job 0    its trigger is to be looked at then
//	P namespace 0 job 0     the job is paused: since when, and why
//	T hash 0                when runs began that a rate counts together
//	S namespace 0           what is said of a namespace
//	t namespace 0 topic 0 namespace 0 job 0   the job listens to that
//	o namespace 0 job 0     its inbox: how many letters there were, and are
//	n namespace 0 job 0 n   letter number n of it
//	M namespace 0 job 0     there are letters to be read
//	m namespace 0 job 0 part    what its trigger remembers of those that were
//	E namespace 0 event 0 id 0  there was an event of that ID, then
//	F time namespace 0 event 0 id 0  the same, by time
//	N id 0                  a node: which life it is in, and whether it has left
//	G id 0                  a token: the hash of its secret, and itself
//	B                       the ID of the first token, if there was one made as that
//	p time id 0             the record of something that was asked for, the latest first
//	O namespace 0 id 0      a bulk operation, and how far it is
//	J namespace 0 id 0      it is not over
//	Y namespace 0 id 0 part what it selects, until it is over
//	z namespace 0 once 0    the ID of the operation that was asked for with that
//	V namespace 0 born id 0     a run in the order of creation, and when that was, or a lot of so many
//	L namespace 0 tag 0 born id 0   the same, of those with a tag
//	Z                       how many runs and operations were created: their order
//	C                       the last instant that has come, of those that runs were recorded ahead of
//
// Numbers, places in the order of creation and times have eight bytes that sort as they do, a rank has one.
var (
	cursorKey  = []byte("c")
	versionKey = []byte("v")
	clusterKey = []byte("i")
	originKey  = []byte("I")
	agreedKey  = []byte("A")
	firstKey   = []byte("B")

	allQueuedKey = []byte("Q")
	bornKey      = []byte("Z")
	cameKey      = []byte("C")
)

const layoutVersion = 6

// maxName bounds the ID of a run and the names of a job in bytes.
const maxName = 512

func recordKey(id job.RunID) []byte     { return append(named('r', string(id)), 0) }
func statusKey(id job.RunID) []byte     { return named('h', string(id)) }
func unfinishedKey(id job.RunID) []byte { return named('u', string(id)) }
func stagedKey(id job.RunID) []byte     { return named('g', string(id)) }
func journalPrefix(id job.RunID) []byte { return named('j', string(id)) }

func attemptKey(id job.RunID, n int) []byte {
	return binary.BigEndian.AppendUint64(named('a', string(id)), uint64(n))
}

func happeningKey(id job.RunID, n uint64) []byte {
	return binary.BigEndian.AppendUint64(named('l', string(id)), n)
}

func dueKey(id job.RunID, at int64) []byte         { return timed([]byte{'d'}, at, string(id)) }
func uncompactedKey(id job.RunID, at int64) []byte { return timed([]byte{'w'}, at, string(id)) }

func endedKey(namespace, name string, id job.RunID, at int64) []byte {
	return timed(named('e', namespace, name), at, string(id))
}

func takenKey(namespace, name, key string) []byte { return named('k', namespace, name, key) }

func freeKey(namespace, name, key string, at int64) []byte {
	return timed([]byte{'K'}, at, namespace, name, key)
}

func queuedKey(namespace, name string) []byte   { return named('q', namespace, name) }
func finishedKey(namespace, name string) []byte { return named('f', namespace, name) }
func pauseKey(namespace, name string) []byte    { return named('P', namespace, name) }

func entryKey(id job.RunID, seq uint64) []byte {
	return append(binary.BigEndian.AppendUint64(named('j', string(id)), seq), 0)
}

func jobKey(namespace, name string) []byte { return append(named('s', namespace, name), 0) }

func named(kind byte, names ...string) []byte {
	n := 1 + 9 // the seq and part that may follow
	for _, name := range names {
		n += len(name) + 1
	}
	k := append(make([]byte, 0, n), kind)
	for _, name := range names {
		k = append(k, name...)
		k = append(k, 0)
	}
	return k
}

// splitNames returns the names in what is left of a key.
func splitNames(b []byte) []string {
	names := strings.Split(string(b), "\x00")
	return names[:len(names)-1]
}

// timed adds a time and names to the beginning of a key.
func timed(k []byte, at int64, names ...string) []byte {
	return append(binary.BigEndian.AppendUint64(k, ordered(at)), named(0, names...)[1:]...)
}

// ordered returns a number of nanoseconds as one that sorts as they do.
func ordered(at int64) uint64 { return uint64(at) ^ 1<<63 }

// disordered takes back ordered, of the first eight bytes of b.
func disordered(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

// ranked returns a priority as a byte: the highest is 0.
func ranked(priority int) []byte {
	return []byte{byte(job.MaxPriority - min(max(priority, -job.MaxPriority), job.MaxPriority))}
}

// timeOf returns the time that a number of nanoseconds stands for; zero is
// none.
func timeOf(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at).UTC()
}

// runOf returns the ID in a key of named with one name and n more bytes.
func runOf(key []byte, n int) job.RunID { return job.RunID(key[1 : len(key)-1-n]) }

// seqOf returns the number in a key of entryKey for a journal with prefix.
func seqOf(key []byte, prefix int) uint64 { return binary.BigEndian.Uint64(key[prefix:]) }

func checkName(what, name string) error {
	if name == "" {
		return fmt.Errorf("%w: %s is empty, want 1 to %d bytes", ErrInvalid, what, maxName)
	}
	return checkPart(what, name)
}

// checkPart is checkName for what may be empty.
func checkPart(what, name string) error {
	if len(name) > maxName {
		return fmt.Errorf("%w: %s %q has %d bytes, want at most %d", ErrInvalid, what, name, len(name), maxName)
	}
	for i := range len(name) {
		if name[i] < ' ' {
			return fmt.Errorf("%w: %s %q has a control character", ErrInvalid, what, name)
		}
	}
	return nil
}
