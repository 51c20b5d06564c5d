package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/pkg/job"
)

const (
	hasResult  = 1 << iota // the attempt returned something
	hasFailure             // it did not succeed
	hasFiles               // it created files
	allFlags   = 1<<iota - 1
)

// maxDetail bounds the encoded failure of an outcome, and its encoded files.
const maxDetail = 256 << 10

// AppendOutcome appends o. Most outcomes are a task's number and a result of
// a few bytes, so those are what is cheap. It refuses what Outcomes would not
// read: a result above MaxPayload, files or a reason that take more than 256
// KiB, numbers that are negative.
func AppendOutcome(dst []byte, o *job.Outcome) ([]byte, error) {
	switch {
	case o.Task.N < 0 || o.Task.N > math.MaxInt32 || o.Attempt < 0 || o.Attempt > math.MaxInt32:
		return nil, fmt.Errorf("wire: outcome of attempt %d at %v", o.Attempt, o.Task)
	case len(o.Result) > MaxPayload:
		return nil, fmt.Errorf("wire: the result of %v has %d bytes, the limit is %d", o.Task, len(o.Result), MaxPayload)
	}
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
	var err error
	if flags&hasFailure != 0 {
		if dst, err = appendDetail(dst, o.Failure); err != nil {
			return nil, fmt.Errorf("wire: failure of %v: %w", o.Task, err)
		}
	}
	if flags&hasFiles != 0 {
		if dst, err = appendDetail(dst, o.Files); err != nil {
			return nil, fmt.Errorf("wire: files of %v: %w", o.Task, err)
		}
	}
	return dst, nil
}

// RoomFor returns about how many bytes AppendOutcome takes for all outcomes, so
// that a blob of them is not copied as it grows.
func RoomFor(all []job.Outcome) (bytes int) {
	const most = 16 // around a result, or nearly so
	for i := range all {
		bytes += most + len(all[i].Result)
	}
	return bytes
}

func appendDetail(dst []byte, v any) ([]byte, error) {
	b, err := codec.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(b) > maxDetail {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(b), maxDetail)
	}
	return appendBytes(dst, b), nil
}

// Outcomes yields the outcomes in blob, of which their results are parts. It
// yields an error once, as its last, if the blob does not hold outcomes and
// nothing else.
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

// AllOutcomes returns the outcomes in blob, as Outcomes yields them. There is room
// for about n of them from the beginning, which may be wrong.
func AllOutcomes(n int, blob []byte) ([]job.Outcome, error) {
	const least = 6 // bytes that every outcome takes
	all := make([]job.Outcome, 0, min(max(n, 0), len(blob)/least))
	for o, err := range Outcomes(blob) {
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func outcome(r *reader) (o job.Outcome) {
	flags := r.byte()
	if flags&^allFlags != 0 {
		r.fail(fmt.Errorf("wire: an outcome with flags %#x, of which this node knows %#x: upgrade it", flags, allFlags))
	}
	o.Task.Kind, o.Task.N = job.Kind(r.byte()), r.int()
	o.Attempt = r.int()
	o.Took = time.Duration(r.int64())
	o.Bytes = r.int64()
	if flags&hasResult != 0 {
		if o.Result = r.bytes(MaxPayload); len(o.Result) == 0 {
			r.fail(errNothing)
		}
	}
	if flags&hasFailure != 0 {
		o.Failure = new(job.Failure)
		r.detail(o.Failure)
	}
	if flags&hasFiles != 0 {
		var files []string // apart, so that o need not be allocated
		if r.detail(&files); len(files) == 0 {
			r.fail(errNothing)
		}
		o.Files = files
	}
	return o
}

var errNothing = errors.New("wire: an outcome claims a result or files and has none")

func (r *reader) detail(v any) {
	b := r.bytes(maxDetail)
	if r.err != nil {
		return
	}
	if err := codec.Unmarshal(b, v); err != nil {
		r.fail(fmt.Errorf("wire: an outcome: %w", err))
	}
}
