package wire

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/musterhq/muster/pkg/job"
)

// A chunk of tasks is a blob of names and payloads, one after another. A name
// that equals the one before it is written as a zero, since subtasks of one
// level come in long rows.

// ChunkWriter packs subtasks into a chunk. The zero value is an empty chunk.
type ChunkWriter struct {
	// N is how many tasks the chunk holds.
	N    int
	blob []byte
	name string
}

// Add packs one more task. It refuses a name or a payload that is over
// MaxName or MaxPayload, since nobody could read the chunk; the chunk is then
// as it was.
func (w *ChunkWriter) Add(name string, payload []byte) error {
	switch {
	case len(name) > MaxName:
		return fmt.Errorf("wire: the name of a task has %d bytes, the limit is %d", len(name), MaxName)
	case len(payload) > MaxPayload:
		return fmt.Errorf("wire: the payload of a task has %d bytes, the limit is %d", len(payload), MaxPayload)
	}
	if name == w.name {
		w.blob = append(w.blob, 0)
	} else {
		w.blob = binary.AppendUvarint(w.blob, uint64(len(name))+1)
		w.blob = append(w.blob, name...)
		w.name = name
	}
	w.blob = appendBytes(w.blob, payload)
	w.N++
	return nil
}

// AddAll packs more tasks, up to one that Add refuses.
func (w *ChunkWriter) AddAll(tasks []job.Subtask) error {
	room := 0
	for i := range tasks {
		room += 2 + len(tasks[i].Payload) // most have the name of the one before them
	}
	w.blob = slices.Grow(w.blob, room)
	for i := range tasks {
		if err := w.Add(tasks[i].Name, tasks[i].Payload); err != nil {
			return err
		}
	}
	return nil
}

// Full reports whether the chunk should be closed.
func (w *ChunkWriter) Full() bool { return w.N >= ChunkTasks || len(w.blob) >= ChunkBytes }

// Bytes returns the blob, which stays the writer's until Reset.
func (w *ChunkWriter) Bytes() []byte { return w.blob }

// Reset starts another chunk; blobs returned before stay as they are.
func (w *ChunkWriter) Reset() { *w = ChunkWriter{} }

// Subtasks yields the tasks of a chunk in order. Payloads are parts of the
// blob. It yields an error once, as its last, if the blob does not hold n
// tasks and nothing else.
func Subtasks(n int, blob []byte) iter.Seq2[job.Subtask, error] {
	return func(yield func(job.Subtask, error) bool) {
		r, name := reader{b: blob}, ""
		for range n {
			if l := r.int(); l > 0 {
				name = r.name(l - 1)
			}
			payload := r.bytes(MaxPayload)
			if r.err != nil {
				yield(job.Subtask{}, r.err)
				return
			}
			if !yield(job.Subtask{Name: name, Payload: payload}, nil) {
				return
			}
		}
		if len(r.b) > 0 {
			yield(job.Subtask{}, fmt.Errorf("wire: %d bytes after the %d tasks of a chunk", len(r.b), n))
		}
	}
}

// name takes the name of a task, which has n bytes.
func (r *reader) name(n int) string {
	if n > MaxName || n > len(r.b) {
		r.fail(fmt.Errorf("wire: a name of %d bytes is over what is left or the limit of %d", n, MaxName))
		return ""
	}
	name := string(r.b[:n])
	r.b = r.b[n:]
	return name
}

// AppendTask appends a task on its way to a worker: one whose name and payload
// came out of a chunk, or are within the same limits. Its place among the
// tasks that the run began with is not written: the worker's node knows the
// run.
func AppendTask(dst []byte, t *job.Task) []byte {
	dst = append(dst, byte(t.ID.Kind))
	dst = binary.AppendUvarint(dst, uint64(t.ID.N))
	dst = binary.AppendUvarint(dst, uint64(t.Attempt))
	dst = append(dst, byte(t.Parent.Kind))
	dst = binary.AppendUvarint(dst, uint64(t.Parent.N))
	dst = appendBytes(dst, t.Name)
	return appendBytes(dst, t.Payload)
}

// Tasks returns the n tasks that AppendTask wrote to blob, whose payloads are
// parts of it.
func Tasks(n int, blob []byte) ([]job.Task, error) {
	const least = 7 // bytes that every task takes
	if n < 0 || n > len(blob)/least {
		return nil, fmt.Errorf("wire: %d bytes can't hold %d tasks", len(blob), n)
	}
	r, tasks, last := reader{b: blob}, make([]job.Task, n), ""
	for i := range tasks {
		t := &tasks[i]
		t.ID.Kind, t.ID.N = job.Kind(r.byte()), r.int()
		t.Attempt = r.int()
		t.Parent.Kind, t.Parent.N = job.Kind(r.byte()), r.int()
		if name := r.bytes(MaxName); string(name) != last {
			last = string(name)
		}
		t.Name = last
		t.Payload = r.bytes(MaxPayload)
		if r.err != nil {
			return nil, r.err
		}
	}
	if len(r.b) > 0 {
		return nil, fmt.Errorf("wire: %d bytes after %d tasks", len(r.b), n)
	}
	return tasks, nil
}
