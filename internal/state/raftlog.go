package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
)

// raftLog is the log that raft writes, over the node's own. It counts what was
// written since the last snapshot, so that a log is bounded by bytes: entries
// differ too much in size to count them.
type raftLog struct {
	*store.Log
	counted atomic.Uint64 // the last index whose size is in bytes
	bytes   atomic.Int64  // since the last snapshot
	limit   atomic.Int64
	grown   chan struct{} // gets a value when bytes goes over limit
	dog     *watchdog
}

// A stored entry is its term, its type, when it was made, and its data.
const entryHead = 8 + 1 + 8

func newRaftLog(l *store.Log, dog *watchdog) *raftLog {
	r := &raftLog{Log: l, grown: make(chan struct{}, 1), dog: dog}
	r.limit.Store(logBytes)
	return r
}

func (l *raftLog) FirstIndex() (uint64, error) { return l.First(), nil }
func (l *raftLog) LastIndex() (uint64, error)  { return l.Last(), nil }

// IsMonotonic says that the log has no gaps.
func (l *raftLog) IsMonotonic() bool { return true }

func (l *raftLog) GetLog(index uint64, out *raft.Log) error {
	b, err := l.Get(index)
	if errors.Is(err, store.ErrNotFound) {
		return raft.ErrLogNotFound
	}
	if err != nil {
		return err
	}
	if len(b) < entryHead {
		return fmt.Errorf("state: entry %d of the log has %d bytes: %w", index, len(b), store.ErrCorrupt)
	}
	*out = raft.Log{
		Index:      index,
		Term:       binary.BigEndian.Uint64(b),
		Type:       raft.LogType(b[8]),
		AppendedAt: time.Unix(0, int64(binary.BigEndian.Uint64(b[9:]))).UTC(),
		Data:       b[entryHead:],
	}
	l.count(index, len(b))
	return nil
}

func (l *raftLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *raftLog) StoreLogs(logs []*raft.Log) error {
	entries := make([]store.Entry, len(logs))
	for i, e := range logs {
		if len(e.Extensions) > 0 {
			return fmt.Errorf("state: entry %d of the log has extensions, which nothing here makes", e.Index)
		}
		head := binary.BigEndian.AppendUint64(make([]byte, 0, entryHead), e.Term)
		head = append(head, byte(e.Type))
		head = binary.BigEndian.AppendUint64(head, uint64(e.AppendedAt.UnixNano()))
		entries[i] = store.Entry{Index: e.Index, Head: head, Data: e.Data}
	}
	if err := l.dog.write(func() error { return l.Append(entries) }); err != nil {
		return err
	}
	for _, e := range logs {
		l.count(e.Index, entryHead+len(e.Data))
	}
	return nil
}

// count adds an entry that was not counted before.
func (l *raftLog) count(index uint64, n int) {
	if last := l.counted.Load(); index <= last || !l.counted.CompareAndSwap(last, index) {
		return
	}
	if l.bytes.Add(int64(n)) >= l.limit.Load() {
		select {
		case l.grown <- struct{}{}:
		default:
		}
	}
}

// postpone puts the next snapshot off until the log has grown more, unless it
// has grown too much already.
func (l *raftLog) postpone() bool {
	limit := l.limit.Load()
	if l.bytes.Load() > 4*limit {
		return false
	}
	l.limit.Store(max(limit, l.bytes.Load()+logBytes/4))
	return true
}

// DeleteRange removes the entries from low to high.
func (l *raftLog) DeleteRange(low, high uint64) error {
	return l.dog.write(func() error { return l.Log.DeleteRange(low, high) })
}
