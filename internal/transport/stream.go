package transport

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Stream is one end of a flow of bytes both ways. One goroutine may read while
// another writes. Reads and writes end with the context that Open or the
// handler was given.
//
// Read returns io.EOF only if the other end said that its data is whole, by
// CloseWrite or by returning from the handler without an error. The error of a
// handler comes after the data it wrote, as a *RemoteError. Everything else
// that ends a stream early is another error, such as ErrBroken.
//
// Write returns when the bytes are taken over for sending, and waits if the
// other end reads too slowly. Small writes leave together. CloseWrite says
// that the data is whole and returns when all of it has left; a handler that
// may still fail leaves that to its return.
//
// Close by whoever opened the stream gives it up: what the other end has not
// said or sent yet is lost, and a handler that still runs is cancelled. So a
// stream that was opened must be closed, or its context ended. A handler need
// not close; if it does, that ends its own reads and writes and nothing else.
type Stream interface {
	io.Reader
	io.Writer
	io.Closer
	CloseWrite() error
}

// A stream keeps its own account of how much the other end takes, so that its
// receiver never stops reading from the session: an error, or the other end's
// giving up, is seen at once and not behind data that nobody reads.
const (
	streamWindow = 1 << 20          // bytes sent and not yet read by the user
	creditStep   = streamWindow / 4 // how many are read before that is told
)

// stream is one end of a stream.
type stream struct {
	method, peer string
	served       bool            // this is the end of a handler
	ctx          context.Context // of whom the stream was made for
	conn         pipe
	broken       func(err error) error // makes an error of ours of one of conn's
	gone         chan struct{}         // closed when conn is and both pumps ended

	work     chan struct{} // there may be something to send
	room     chan struct{} // there may be room to write
	readable chan struct{} // there may be something to read

	mu       sync.Mutex
	in       chunks
	unspoken int   // guarded by mu: bytes read by the user and not credited yet
	inErr    error // guarded by mu: what follows the data in the queue
	out      outbox
	credit   int   // guarded by mu: bytes the other end still takes
	outErr   error // guarded by mu: why nothing more may be written
	ended    bool  // guarded by mu: CloseWrite was called
	sending  bool  // guarded by mu: the sender holds bytes
	stopped  bool  // guarded by mu: the pumps are to end
}

// pipe is what a stream runs over: a yamux stream, or memory.
type pipe interface {
	io.ReadWriteCloser
	deadliner
}

func newStream(ctx context.Context, conn pipe, method, peer string, broken func(error) error) *stream {
	return &stream{
		method:   method,
		peer:     peer,
		ctx:      ctx,
		conn:     conn,
		broken:   broken,
		gone:     make(chan struct{}),
		work:     make(chan struct{}, 1),
		room:     make(chan struct{}, 1),
		readable: make(chan struct{}, 1),
		credit:   streamWindow,
	}
}

// poke makes whoever waits on c look again.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		s.mu.Lock()
		n, err := s.in.read(p), s.inErr
		if n > 0 {
			s.readLocked(n)
		}
		s.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		select {
		case <-s.readable:
		case <-s.ctx.Done():
			return 0, ended(s.ctx, s.method, s.peer)
		}
	}
}

// readLocked tells the other end, now and then, how much has been read.
func (s *stream) readLocked(n int) {
	s.unspoken += n
	if s.unspoken >= creditStep && s.inErr == nil {
		s.out.credit(s.unspoken)
		s.unspoken = 0
		poke(s.work)
	}
}

func (s *stream) Write(p []byte) (int, error) {
	written := 0
	for {
		s.mu.Lock()
		err := s.writeErrLocked()
		if err == nil {
			n := s.out.data(p[written:], s.credit)
			s.credit -= n
			written += n
			if n > 0 {
				poke(s.work)
			}
		}
		s.mu.Unlock()
		if err != nil || written == len(p) {
			return written, err
		}
		select {
		case <-s.room:
		case <-s.ctx.Done():
			return written, ended(s.ctx, s.method, s.peer)
		}
	}
}

var errWriteEnded = errors.New("transport: write after CloseWrite")

func (s *stream) writeErrLocked() error {
	switch {
	case s.outErr != nil:
		return s.outErr
	case s.ended:
		return &failure{method: s.method, to: s.peer, kind: errWriteEnded}
	case s.ctx.Err() != nil:
		return ended(s.ctx, s.method, s.peer)
	}
	return nil
}

func (s *stream) CloseWrite() error {
	s.mu.Lock()
	if !s.ended && s.outErr == nil {
		s.ended = true
		s.out.frame(frameEnd, nil)
		poke(s.work)
	}
	s.mu.Unlock()
	return s.flush()
}

// flush waits until the session has all that was written.
func (s *stream) flush() error {
	for {
		s.mu.Lock()
		flushed, err := s.out.empty() && !s.sending, s.outErr
		s.mu.Unlock()
		if flushed || errors.Is(err, errHandlerDone) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-s.room:
		case <-s.ctx.Done():
			return ended(s.ctx, s.method, s.peer)
		}
	}
}

// Close returns at once; the other end is told in the background.
func (s *stream) Close() error {
	closed := &failure{method: s.method, to: s.peer, kind: io.ErrClosedPipe}
	if !s.served {
		s.stop(closed)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(closed)
	s.failLocked(closed, closed)
	return nil
}

// stop ends the stream with err for reads and writes that come after.
func (s *stream) stop(err error) {
	s.mu.Lock()
	first := !s.stopped
	s.stopped = true
	s.dropLocked(err)
	s.failLocked(err, err)
	s.mu.Unlock()
	if first {
		s.conn.SetDeadline(past)
	}
}

// dropLocked forgets what came and was not read. A reader who has missed
// something must not be told that the data was whole.
func (s *stream) dropLocked(err error) {
	if s.in.n > 0 {
		s.inErr = err
	}
	s.in.drop()
}

// failLocked sets what reads and writes will return, unless they have an error
// already, and wakes those that wait.
func (s *stream) failLocked(inErr, outErr error) {
	if s.inErr == nil {
		s.inErr = inErr
	}
	if s.outErr == nil {
		s.outErr = outErr
	}
	poke(s.readable)
	poke(s.room)
	poke(s.work)
}

// finish ends the handler's end: with the end of the data, or with its error.
// What was written before is still sent.
func (s *stream) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.out.frame(frameError, appendError(nil, remoteError(s.method, err)))
	case !s.ended:
		s.out.frame(frameEnd, nil)
		fallthrough
	default:
		s.out.frame(frameDone, nil)
	}
	closed := &failure{method: s.method, to: s.peer, kind: io.ErrClosedPipe, cause: errHandlerDone}
	s.dropLocked(closed)
	s.failLocked(closed, closed)
}
