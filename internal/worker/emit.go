package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

const (
	// chunkTasks is how many subtasks are handed to the host at a time.
	chunkTasks = 1024
	// maxName bounds the name of a subtask, in bytes.
	maxName = 256
)

// emitter collects the subtasks of an attempt and hands them on in chunks. Its
// lock is held while the host takes one in: that is what keeps chunks in order
// and makes all who emit wait.
type emitter struct {
	mu    sync.Mutex
	tasks []job.Subtask // guarded by mu
	bytes int           // guarded by mu
	seq   int           // guarded by mu
	err   error         // guarded by mu: once set, nothing is taken any more
}

var errReturned = errors.New("worker: emit: the attempt has ended: emit before Process returns, and wait for goroutines that do")

// Emit adds a subtask. It keeps payload.
func (a *attempt) Emit(name string, payload []byte) error {
	if limit := a.w.cfg.MaxPayload; int64(len(payload)) > limit {
		return mapreduce.Permanent(fmt.Errorf("worker: payload emitted by %s as %q has %d bytes and may have %d: emit smaller tasks, or put it where they can read it", a.task.ID, cut(name, maxName), len(payload), limit))
	}
	if len(name) > maxName {
		return mapreduce.Permanent(fmt.Errorf("worker: name of a task emitted by %s has %d bytes and may have %d: put what is long into the payload", a.task.ID, len(name), maxName))
	}
	if a.stopped.Load() {
		return context.Cause(&a.life)
	}
	e := &a.emits
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	e.tasks = append(e.tasks, job.Subtask{Name: name, Payload: payload})
	e.bytes += len(name) + len(payload)
	if len(e.tasks) < chunkTasks && e.bytes < chunkBytes {
		return nil
	}
	return e.flushLocked(a)
}

func (e *emitter) flushLocked(a *attempt) error {
	tasks := e.tasks
	e.tasks, e.bytes = make([]job.Subtask, 0, chunkTasks), 0 // the old ones are the host's now
	if err := a.w.host.Emit(a.ctx, a.id(), e.seq, tasks); err != nil {
		e.err = fmt.Errorf("worker: emit: %w", err)
	}
	e.seq++
	return e.err
}

// close hands on the rest. It returns why something that was emitted did not
// get through, if it did not, whatever the processor made of that.
func (e *emitter) close(a *attempt) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil && len(e.tasks) > 0 && a.ctx.Err() == nil {
		_ = e.flushLocked(a) // which sets e.err
	}
	err := e.err
	e.tasks, e.err = nil, errReturned
	return err
}

// giveUp takes no more subtasks.
func (e *emitter) giveUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tasks, e.err = nil, errReturned
}
