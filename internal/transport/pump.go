package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// errHandlerDone is why a write fails whose reader, a handler, has returned.
var errHandlerDone = errors.New("transport: the handler has returned and reads no more")

// errNoEnd is why a read fails when the other end closes the stream without
// saying that its data is whole.
var errNoEnd = errors.New("transport: the other end gave the stream up")

// errProtocol is the end of a stream on which something came that may not.
var errProtocol = errors.New("transport: the peer does not keep to the protocol")

// pump moves bytes between the stream and its conn until one of the ends is
// through, and closes conn. It returns after both its halves have.
//
// The end that opened a stream closes it first, so that the other knows that
// everything it sent has been read, or never will be.
func (s *stream) pump(start func(func()) bool, hungUp func(error)) {
	received := make(chan struct{})
	if start(func() {
		defer close(received)
		err := s.receive()
		hungUp(err)
		s.over(err)
	}) {
		s.send()
		s.conn.SetDeadline(past)
		<-received
	} else {
		s.over(ErrClosed)
	}
	s.conn.Close()
	s.mu.Lock()
	s.in.recycle()
	s.mu.Unlock()
	close(s.gone)
}

// over ends the stream because conn can give or take no more.
func (s *stream) over(err error) {
	err = s.broken(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.failLocked(err, err)
}

// send writes what is in the outbox, over and over.
func (s *stream) send() {
	var spare []byte
	for {
		s.mu.Lock()
		frames := s.out.take(spare)
		s.sending = len(frames) > 0
		stopped := s.stopped
		s.mu.Unlock()
		poke(s.room)
		switch {
		case stopped:
			return
		case len(frames) == 0:
			spare = frames
			<-s.work
			continue
		}
		if _, err := s.conn.Write(frames); err != nil {
			s.over(err)
			return
		}
		spare = frames
		if cap(spare) > 2*chunkSize { // it held a large request
			spare = nil
		}
	}
}

// receive reads frames until there are no more.
func (s *stream) receive() error {
	var header [answerHeader]byte
	for {
		if _, err := io.ReadFull(s.conn, header[:]); err != nil {
			return noEnd(err)
		}
		if s.isStopped() {
			return errNoEnd
		}
		if err := s.received(header[0], binary.BigEndian.Uint32(header[1:])); err != nil {
			return noEnd(err)
		}
	}
}

// noEnd is what the end of conn means: it may come in the middle of a frame.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNoEnd
	}
	return err
}

func (s *stream) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *stream) received(typ byte, size uint32) error {
	switch {
	case typ == frameData:
		return s.receiveData(size)
	case typ == frameCredit:
		s.mu.Lock()
		s.credit += int(min(size, streamWindow))
		ok := s.credit <= streamWindow
		s.mu.Unlock()
		poke(s.room)
		if !ok {
			return fmt.Errorf("%w: credit of %d bytes, more than there is to give", errProtocol, size)
		}
	case typ == frameError:
		remote, err := readError(s.conn, s.method, size)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.failLocked(remote, remote)
		s.mu.Unlock()
	case typ == frameEnd && size == 0:
		s.mu.Lock()
		s.failLocked(io.EOF, nil)
		s.mu.Unlock()
	case typ == frameDone && size == 0:
		s.mu.Lock()
		s.failLocked(io.EOF, &failure{method: s.method, to: s.peer, kind: io.ErrClosedPipe, cause: errHandlerDone})
		s.mu.Unlock()
	default:
		return fmt.Errorf("%w: frame of type %d and %d bytes", errProtocol, typ, size)
	}
	return nil
}

// receiveData moves the bytes of one frame into the queue as they come.
func (s *stream) receiveData(size uint32) error {
	s.mu.Lock()
	room := streamWindow - s.in.n - s.unspoken
	discard := s.inErr != nil
	s.mu.Unlock()
	switch {
	case discard:
		// The handler is through; nobody will read this, nor give credit for it.
		_, err := io.CopyN(io.Discard, s.conn, int64(min(size, streamWindow)))
		return err
	case int64(size) > int64(room):
		return fmt.Errorf("%w: frame of %d bytes, where %d are allowed", errProtocol, size, room)
	}
	for left := int(size); left > 0; {
		s.mu.Lock()
		tail := s.in.tail()
		s.mu.Unlock()
		n, err := s.conn.Read(tail[:min(left, len(tail))])
		s.mu.Lock()
		if s.inErr == nil {
			s.in.filled(n)
		}
		s.mu.Unlock()
		poke(s.readable)
		left -= n
		if err != nil {
			return err
		}
	}
	return nil
}
