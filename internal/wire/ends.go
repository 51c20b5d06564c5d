package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/pkg/job"
)

// Awaits names runs whose ends are waited for.
type Awaits struct {
	Runs []job.RunID `msgpack:"r"`
}

// Ends tells of runs that have ended, or are not there.
type Ends struct {
	Ends    []End     `msgpack:"e,omitempty"`
	Unknown []Refusal `msgpack:"u,omitempty"`
	// Lost are the runs that are Unknown, in the same order.
	Lost []job.RunID `msgpack:"l,omitempty"`
}

// End is a run that has ended.
type End struct {
	Run Over `msgpack:"r"`
	// Few says that Outcomes is all the entries of its journal that hold
	// outcomes. Seqs are their numbers.
	Few      bool     `msgpack:"w,omitempty"`
	Seqs     []uint64 `msgpack:"s,omitempty"`
	Outcomes [][]byte `msgpack:"o,omitempty"`
}

// Over is what is told of a run that has ended, under the names that it has in
// the run itself. Of one that the crowd of its master conducted to its end, Plan
// is zero.
type Over struct {
	ID       job.RunID    `msgpack:"id"`
	Plan     job.Plan     `msgpack:"pl"`
	Epoch    uint64       `msgpack:"e,omitempty"`
	State    job.State    `msgpack:"s"`
	Reason   string       `msgpack:"r,omitempty"`
	Progress job.Progress `msgpack:"pr,omitempty"`
}

// OverOf returns what is told of run.
func OverOf(run *job.Run) Over {
	plan := run.Plan
	plan.Nodes, plan.Sample = nil, nil // which may be large, and are of no use any more
	return Over{ID: run.ID, Plan: plan, Epoch: run.Epoch, State: run.State, Reason: run.Reason, Progress: run.Progress}
}

// maxSaid bounds one message in a stream of messages.
const maxSaid = 16 << 20

// Say writes v as one message of a stream of messages.
func Say(w io.Writer, v any) error {
	b, err := codec.Marshal(v)
	if err != nil {
		return fmt.Errorf("wire: %T: %w", v, err)
	}
	if len(b) > maxSaid {
		return fmt.Errorf("wire: %T of %d bytes, the limit is %d", v, len(b), maxSaid)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b))), b...))
	return err
}

// Hear reads the next message of a stream of messages into v. At the end of the
// stream it returns io.EOF.
func Hear(r *bufio.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxSaid {
		return fmt.Errorf("wire: %T of %d bytes, the limit is %d", v, n, maxSaid)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("wire: %T is cut off: %v", v, err) //nolint:errorlint // an EOF here is no end
	}
	return DecodeRecord(b, v)
}
