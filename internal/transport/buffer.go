package transport

import (
	"encoding/binary"
	"sync"
	"time"
)

type deadliner interface {
	SetDeadline(time.Time) error
}

// chunkSize is how much a stream sends in one piece, and stores in one.
const chunkSize = 64 << 10

var chunkPool = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// chunks is a queue of bytes that have come and were not read yet. The tail
// has room that a receiver may fill while others read what lies before it.
type chunks struct {
	list []*[chunkSize]byte
	r, w int // where to read in the first, and to write in the last
	n    int // bytes in the queue
}

// tail returns room for at least one byte.
func (q *chunks) tail() []byte {
	if len(q.list) == 0 || q.w == chunkSize {
		q.list = append(q.list, chunkPool.Get().(*[chunkSize]byte))
		q.w = 0
	}
	return q.list[len(q.list)-1][q.w:]
}

// filled adds the first n bytes of the tail to the queue.
func (q *chunks) filled(n int) {
	q.w += n
	q.n += n
}

// read moves bytes from the queue to p.
func (q *chunks) read(p []byte) int {
	done := 0
	for done < len(p) && q.n > 0 {
		end := chunkSize
		if len(q.list) == 1 {
			end = q.w
		}
		n := copy(p[done:], q.list[0][q.r:end])
		done += n
		q.r += n
		q.n -= n
		if q.r == chunkSize {
			chunkPool.Put(q.list[0])
			q.list[0] = nil
			q.list = q.list[1:]
			q.r = 0
		}
	}
	return done
}

// drop empties the queue. The last chunk is not used again, since a receiver
// may be writing to it.
func (q *chunks) drop() {
	*q = chunks{}
}

// recycle gives the memory back once nobody fills the tail any more.
func (q *chunks) recycle() {
	if q.n > 0 {
		return
	}
	for _, c := range q.list {
		chunkPool.Put(c)
	}
	q.drop()
}

// outbox is frames on their way to the session. Data that is written while
// earlier frames are being sent is put together in one frame.
type outbox struct {
	buf  []byte
	last int // where the header of an open data frame begins, plus one; or zero
}

func (o *outbox) empty() bool { return len(o.buf) == 0 }

// frame adds a frame of its own.
func (o *outbox) frame(typ byte, body []byte) {
	o.buf = appendAnswer(o.buf, typ, body)
	o.last = 0
}

// credit tells the other end that it may send n bytes more.
func (o *outbox) credit(n int) {
	o.buf = append(o.buf, frameCredit)
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(n))
	o.last = 0
}

// data adds as much of p as there is room and credit for, and returns how much
// that is.
func (o *outbox) data(p []byte, credit int) int {
	room := chunkSize - len(o.buf)
	if o.last == 0 {
		room -= answerHeader
	}
	n := min(len(p), room, credit)
	if n <= 0 {
		return 0
	}
	if o.buf == nil {
		o.buf = make([]byte, 0, min(chunkSize, max(4<<10, 2*n)))
	}
	if o.last == 0 {
		o.last = len(o.buf) + 1
		o.buf = append(o.buf, frameData, 0, 0, 0, 0)
	}
	o.buf = append(o.buf, p[:n]...)
	size := o.buf[o.last : o.last+4]
	binary.BigEndian.PutUint32(size, binary.BigEndian.Uint32(size)+uint32(n))
	return n
}

// take exchanges the frames for an empty buffer.
func (o *outbox) take(spare []byte) []byte {
	b := o.buf
	o.buf, o.last = spare[:0], 0
	return b
}
