package node

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// chunks is the payloads of a run's tasks on their way to workers. The ones
// used last are kept in memory, within a bound; the others are in the journal.
type chunks struct {
	c *conductor

	mu    sync.Mutex
	bytes int                      // guarded by mu
	bySeq map[uint64]*list.Element // guarded by mu
	order *list.List               // of *chunk, the latest in front; guarded by mu
}

type chunk struct {
	seq   uint64
	tasks []job.Subtask
	bytes int
}

// maxChunks bounds the payload bytes that a run keeps in memory.
const maxChunks = 64 << 20

func newChunks(c *conductor) *chunks {
	return &chunks{c: c, bySeq: map[uint64]*list.Element{}, order: list.New()}
}

// chunk returns the chunk that is in an entry of the journal.
func (cs *chunks) chunk(ctx context.Context, seq uint64) (*chunk, error) {
	if k := cs.get(seq); k != nil {
		return k, nil
	}
	b, err := lead[[]byte](ctx, cs.c.n, wire.MethodEntry, wire.EntryRef{Run: cs.c.run.ID, Seq: seq})
	if err != nil {
		return nil, err
	}
	e, err := wire.DecodeEntry(b)
	if err != nil {
		return nil, err
	}
	tasks, err := unpack(e.N, e.Blob)
	if err != nil {
		return nil, fmt.Errorf("node: journal entry %d of %s: %w", seq, cs.c.run.ID, err)
	}
	return cs.add(seq, tasks, len(e.Blob)), nil
}

// task returns a task of the chunk, of which run it is.
func (k *chunk) task(run job.RunID, at int) (job.Subtask, error) {
	if at < 0 || at >= len(k.tasks) {
		return job.Subtask{}, fmt.Errorf("node: journal entry %d of %s has no task %d", k.seq, run, at)
	}
	return k.tasks[at], nil
}

func (cs *chunks) get(seq uint64) *chunk {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	el := cs.bySeq[seq]
	if el == nil {
		return nil
	}
	cs.order.MoveToFront(el)
	return el.Value.(*chunk)
}

// add keeps a chunk.
func (cs *chunks) add(seq uint64, tasks []job.Subtask, size int) *chunk {
	k := &chunk{seq: seq, tasks: tasks, bytes: size + 64*len(tasks)}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.bySeq[seq] == nil {
		cs.bySeq[seq] = cs.order.PushFront(k)
		cs.bytes += k.bytes
	}
	for cs.bytes > maxChunks && cs.order.Len() > 1 {
		old := cs.order.Remove(cs.order.Back()).(*chunk)
		delete(cs.bySeq, old.seq)
		cs.bytes -= old.bytes
	}
	return k
}

// unpack returns the tasks of a chunk, which share its blob.
func unpack(n int, blob []byte) ([]job.Subtask, error) {
	tasks := make([]job.Subtask, 0, min(n, wire.ChunkTasks))
	for t, err := range wire.Subtasks(n, blob) {
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}
