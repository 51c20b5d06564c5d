package transport

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// timedConn is a connection on which no read or write waits for ever: a peer
// that takes nothing for the write timeout, or sends nothing for the read
// timeout though it is probed, has broken the connection. It serves one reader
// and one writer.
type timedConn struct {
	net.Conn
	readTimeout, writeTimeout time.Duration
	readUntil, writeUntil     time.Time

	heard atomic.Int64 // when something was read, after began
	began time.Time
}

func (c *timedConn) Read(p []byte) (int, error) {
	// To move the deadline costs more than to look at the clock, so it is only
	// moved when an eighth of its time has passed.
	if until := time.Now().Add(c.readTimeout); until.Sub(c.readUntil) > c.readTimeout/8 {
		c.readUntil = until
		if err := c.SetReadDeadline(until); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(int64(time.Since(c.began)))
	}
	return n, err
}

// silent returns how long ago the peer sent something.
func (c *timedConn) silent() time.Duration {
	return time.Since(c.began) - time.Duration(c.heard.Load())
}

// beforeWrite sets the deadline of a write.
func (c *timedConn) beforeWrite() error {
	until := time.Now().Add(c.writeTimeout)
	if until.Sub(c.writeUntil) <= c.writeTimeout/8 {
		return nil
	}
	c.writeUntil = until
	return c.SetWriteDeadline(until)
}

// frameConn is what a session reads from and writes to: a connection on which
// the frames of yamux stay whole.
//
// Yamux takes the body of a frame off the connection while it holds locks of
// the stream, so it gets no frame before all of it is there; and it writes
// header and body apart, so the header is held back until both can leave in
// one system call. A frame that claims more than a stream may ever have on its
// way is refused.
type frameConn struct {
	*timedConn
	r      *bufio.Reader
	unread int    // bytes at the front of r that belong to a whole frame
	large  []byte // what is left of a frame too large for r

	held []byte // a header held back, and room for a small body
}

const (
	frameHeader = 12
	maxFrame    = window
	smallBody   = 4 << 10
	readBuffer  = chunkSize + 4<<10 // the frames that we write fit
)

func newFrameConn(c net.Conn, cfg *Config) *frameConn {
	timed := &timedConn{Conn: c, readTimeout: 3 * cfg.KeepAlive, writeTimeout: cfg.WriteTimeout, began: time.Now()}
	return &frameConn{
		timedConn: timed,
		r:         bufio.NewReaderSize(timed, readBuffer),
		held:      make([]byte, 0, frameHeader+smallBody),
	}
}

func (c *frameConn) Read(p []byte) (int, error) {
	if c.unread == 0 && len(c.large) == 0 {
		if err := c.nextFrame(); err != nil {
			return 0, err
		}
	}
	if len(c.large) > 0 {
		n := copy(p, c.large)
		if c.large = c.large[n:]; len(c.large) == 0 {
			c.large = nil
		}
		return n, nil
	}
	n, err := c.r.Read(p[:min(len(p), c.unread)])
	c.unread -= n
	return n, err
}

// nextFrame returns when a frame is there as a whole.
func (c *frameConn) nextFrame() error {
	header, err := c.r.Peek(frameHeader)
	if err != nil {
		return err
	}
	size := frameHeader
	if hasBody(header) {
		body := binary.BigEndian.Uint32(header[8:])
		if body > maxFrame {
			return fmt.Errorf("transport: frame of %d bytes, the limit is %d", body, maxFrame)
		}
		size += int(body)
	}
	if size <= c.r.Size() {
		_, err = c.r.Peek(size)
		c.unread = size
		return err
	}
	c.large, err = readN(c.r, "frame", uint32(size), maxFrame+frameHeader)
	return err
}

func (c *frameConn) Write(p []byte) (int, error) {
	if len(c.held) == 0 && len(p) == frameHeader && hasBody(p) {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	if err := c.beforeWrite(); err != nil {
		return 0, err
	}
	if len(c.held) == 0 {
		return c.Conn.Write(p)
	}
	header := c.held
	c.held = c.held[:0]
	var err error
	if len(p) <= smallBody {
		_, err = c.Conn.Write(append(header, p...))
	} else {
		_, err = (&net.Buffers{header, p}).WriteTo(c.Conn)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// hasBody reports whether the header is that of a frame that a body follows:
// type 0, which is data, with a length.
func hasBody(header []byte) bool {
	return header[1] == 0 && binary.BigEndian.Uint32(header[8:]) > 0
}
