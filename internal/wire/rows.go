package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/musterhq/muster/pkg/job"
)

// Tasks that are merely named are mostly neighbours, so they are written in
// rows: a kind, the number of the first, and how many there are.

// maxNamed bounds how many tasks a blob of rows names. It is far beyond what a
// member ever has.
const maxNamed = 1 << 20

// AppendRows names tasks, in the order in which they come, and returns how
// many rows that took.
func AppendRows(dst []byte, tasks []job.TaskID) ([]byte, int) {
	rows := 0
	for len(tasks) > 0 {
		first, n := tasks[0], 1
		for n < len(tasks) && tasks[n].Kind == first.Kind && tasks[n].N == first.N+n {
			n++
		}
		dst = append(dst, byte(first.Kind))
		dst = binary.AppendUvarint(dst, uint64(first.N))
		dst = binary.AppendUvarint(dst, uint64(n))
		tasks = tasks[n:]
		rows++
	}
	return dst, rows
}

// Rows returns the tasks that the n rows in blob name.
func Rows(n int, blob []byte) (tasks []job.TaskID, err error) {
	r := reader{b: blob}
	for range n {
		kind, first, count := job.Kind(r.byte()), r.int(), r.int()
		if r.err != nil {
			return nil, r.err
		}
		if count > maxNamed-len(tasks) || first > math.MaxInt32-count {
			return nil, fmt.Errorf("wire: rows name %d tasks from %d on, after %d: the limit is %d", count, first, len(tasks), maxNamed)
		}
		for i := range count {
			tasks = append(tasks, job.TaskID{Kind: kind, N: first + i})
		}
	}
	if len(r.b) > 0 {
		return nil, fmt.Errorf("wire: %d bytes after %d rows", len(r.b), n)
	}
	return tasks, nil
}
