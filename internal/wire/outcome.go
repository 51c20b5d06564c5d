package wire

import (
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/pkg/job"
)

const (
	hasResult  = 1 << iota // the attempt returned something
	hasFailure             // it did not succeed
	hasFiles               // it created files
)

// maxFailure bounds the encoded reason of a failure.
const maxFailure = 256 << 10

// AppendOutcome appends o. Most outcomes are a task's number and a result of
// a few bytes, so those are what is cheap.
func AppendOutcome(dst []byte, o *job.Outcome) ([]byte, error) {
	var flags byte
	if len(o.Result) > 0 {
		flags |= hasResult
	}
	if o.Failure != nil {
		flags |= hasFailure
	}
	if len(o.Files) > 0 {
		flags |= hasFiles
	}
	dst = append(dst, flags, byte(o.Task.Kind))
	dst = binary.AppendUvarint(dst, uint64(o.Task.N))
	dst = binary.AppendUvarint(dst, uint64(o.Attempt))
	dst = binary.AppendUvarint(dst, uint64(max(o.Took, 0)))
	dst = binary.AppendUvarint(dst, uint64(max(o.Bytes, 0)))
	if flags&hasResult != 0 {
		dst = appendBytes(dst, o.Result)
	}
	if flags&hasFailure != 0 {
		b, err := codec.Marshal(o.Failure)
		if err != nil {
			return nil, fmt.Errorf("wire: failure of %v: %w", o.Task, err)
		}
		dst = appendBytes(dst, b)
	}
	if flags&hasFiles != 0 {
		b, err := codec.Marshal(o.Files)
		if err != nil {
			return nil, fmt.Errorf("wire: files of %v: %w", o.Task, err)
		}
		dst = appendBytes(dst, b)
	}
	return dst, nil
}

// Outcomes yields the outcomes in blob, whose results it shares. It yields an
// error once, as its last, if the blob does not hold outcomes and nothing
// else.
func Outcomes(blob []byte) iter.Seq2[job.Outcome, error] {
	return func(yield func(job.Outcome, error) bool) {
		for r := (&reader{b: blob}); len(r.b) > 0; {
			o := outcome(r)
			if r.err != nil {
				yield(job.Outcome{}, r.err)
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

func outcome(r *reader) (o job.Outcome) {
	flags := r.byte()
	o.Task.Kind, o.Task.N = job.Kind(r.byte()), r.int()
	o.Attempt = r.int()
	o.Took = time.Duration(r.uvarint() & (1<<63 - 1))
	o.Bytes = int64(r.uvarint() & (1<<63 - 1))
	if flags&hasResult != 0 {
		o.Result = r.bytes(MaxPayload)
	}
	if flags&hasFailure != 0 {
		o.Failure = new(job.Failure)
		decode(r, o.Failure)
	}
	if flags&hasFiles != 0 {
		decode(r, &o.Files)
	}
	return o
}

func decode(r *reader, v any) {
	if b := r.bytes(maxFailure); r.err == nil {
		if err := codec.Unmarshal(b, v); err != nil {
			r.fail(err)
		}
	}
}
