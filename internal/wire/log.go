package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// The methods by which run logs travel. Nodes that hold the state answer those
// of the log; every node answers MethodLogFlush.
const (
	MethodLogAppend  = "log.append"  // stream: LogBatches -> Nothing
	MethodLogPage    = "log.page"    // stream: LogPageRef -> LogPage
	MethodLogMark    = "log.mark"    // stream: RunRef -> LogMark
	MethodLogArrived = "log.arrived" // stream: LogArrivedRef -> LogArrived
	MethodLogFlush   = "node.flush"  // Nothing -> Nothing: what was logged here is kept
)

// LogBatches is lines on their way to a server, each an encoded LogBatch.
type LogBatches struct {
	Batches [][]byte `msgpack:"b"`
}

// LogPageRef asks for at most Limit of a run's lines, in order.
type LogPageRef struct {
	Run   job.RunID    `msgpack:"r"`
	Query job.LogQuery `msgpack:"q"`
}

// LogPage is lines, as AppendLogLine wrote them. More says that there may be
// lines beyond the last.
type LogPage struct {
	Lines []byte `msgpack:"l,omitempty"`
	More  bool   `msgpack:"m,omitempty"`
}

// LogArrivedRef asks for what has come since At, in the order in which it did,
// and waits up to Wait until there is some.
type LogArrivedRef struct {
	Run   job.RunID     `msgpack:"r"`
	Query job.LogQuery  `msgpack:"q"`
	At    LogMark       `msgpack:"a"`
	Wait  time.Duration `msgpack:"w,omitempty"`
}

// LogMark is how far somebody is with what has come to a server: in which of
// its lives, and how many batches. The zero value is the beginning; one with an
// unknown life is taken for it.
type LogMark struct {
	Life uint64 `msgpack:"l,omitempty"`
	N    uint64 `msgpack:"n,omitempty"`
}

// LogArrived answers a LogArrivedRef. More says that there is more already.
type LogArrived struct {
	Lines []byte  `msgpack:"l,omitempty"`
	At    LogMark `msgpack:"a"`
	More  bool    `msgpack:"m,omitempty"`
}

// LogBatch is lines of one run from one node.
type LogBatch struct {
	Run         job.RunID
	N           int
	First, Last int64  // the least and the greatest time, in nanoseconds
	Lines       []byte // AppendLogLine
}

const (
	// MaxLogBatch bounds an encoded batch.
	MaxLogBatch = 256 << 10
	maxLogRun   = 2 << 10
	maxLogAttrs = 256
)

// AppendLogBatch appends the encoding of b.
func AppendLogBatch(dst []byte, b *LogBatch) []byte {
	dst = appendBytes(append(dst, 1), string(b.Run))
	dst = binary.AppendUvarint(dst, uint64(b.N))
	dst = binary.AppendVarint(dst, b.First)
	dst = binary.AppendVarint(dst, b.Last)
	return append(dst, b.Lines...)
}

// DecodeLogBatch returns the batch that b encodes, whose lines remain part of b
// and are not looked at.
func DecodeLogBatch(b []byte) (LogBatch, error) {
	r := reader{b: b}
	if v := r.byte(); r.err == nil && v != 1 {
		return LogBatch{}, fmt.Errorf("wire: log batch of version %d: upgrade this node", v)
	}
	batch := LogBatch{Run: job.RunID(r.bytes(maxLogRun)), N: r.int(), First: r.varint(), Last: r.varint()}
	if batch.Lines = r.b; r.err == nil && batch.N < 1 {
		r.fail(errors.New("wire: log batch without lines"))
	}
	return batch, r.err
}

func (r *reader) varint() int64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// AppendLogLine appends the encoding of l, but for its run.
func AppendLogLine(dst []byte, l *job.LogLine) []byte {
	dst = append(dst, byte(l.Task.Kind))
	dst = binary.AppendUvarint(dst, uint64(l.Task.N))
	dst = binary.AppendUvarint(dst, l.Epoch)
	dst = binary.AppendUvarint(dst, uint64(l.Attempt))
	dst = binary.AppendVarint(dst, int64(l.Level))
	dst = binary.AppendVarint(dst, l.Time.UnixNano())
	dst = binary.AppendUvarint(dst, l.Seq)
	dst = binary.AppendUvarint(dst, l.Dropped)
	dst = appendBytes(appendBytes(dst, l.Node), l.Text)
	dst = binary.AppendUvarint(dst, uint64(len(l.Attrs)))
	for i := range l.Attrs {
		dst = appendBytes(appendBytes(dst, l.Attrs[i].Key), l.Attrs[i].Value)
	}
	return dst
}

// LogLines yields the lines that b encodes. An error is the last it yields. The
// line is valid until the next.
func LogLines(run job.RunID, b []byte) iter.Seq2[*job.LogLine, error] {
	return func(yield func(*job.LogLine, error) bool) {
		for r := (reader{b: b}); len(r.b) > 0; {
			l := job.LogLine{Run: run}
			r.logLine(&l)
			if r.err != nil {
				yield(nil, r.err)
				return
			}
			if !yield(&l, nil) {
				return
			}
		}
	}
}

func (r *reader) logLine(l *job.LogLine) {
	l.Task = job.TaskID{Kind: job.Kind(r.byte()), N: r.int()}
	l.Epoch, l.Attempt = r.uvarint(), r.int()
	l.Level = slog.Level(r.varint())
	l.Time = time.Unix(0, r.varint()).UTC()
	l.Seq, l.Dropped = r.uvarint(), r.uvarint()
	l.Node, l.Text = string(r.bytes(MaxName)), string(r.bytes(job.MaxLogText+MaxName))
	n := r.uvarint()
	if n > maxLogAttrs {
		r.fail(fmt.Errorf("wire: a line with %d attributes, the limit is %d", n, maxLogAttrs))
	}
	for range n {
		a := job.LogAttr{Key: string(r.bytes(job.MaxLogAttrs)), Value: string(r.bytes(job.MaxLogAttrs + MaxName))}
		if r.err != nil {
			return
		}
		l.Attrs = append(l.Attrs, a)
	}
}
