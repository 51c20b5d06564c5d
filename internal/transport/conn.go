package transport

import (
	"encoding/binary"
	"net"
	"time"
)

// timedConn is the connection below a session. No read or write on it waits
// for ever: a peer that takes nothing for the write timeout, or sends nothing
// for the read timeout though it is probed, ends the session.
//
// It also holds back the header of a frame until the body comes, so that both
// leave in one system call. Yamux reads in one goroutine and writes in
// another, so each half needs no lock.
type timedConn struct {
	net.Conn
	readTimeout, writeTimeout time.Duration
	readUntil, writeUntil     time.Time

	small []byte // header, and body if it is small
}

const (
	frameHeader = 12
	smallBody   = 4 << 10
)

func newTimedConn(c net.Conn, cfg *Config) *timedConn {
	return &timedConn{
		Conn:         c,
		readTimeout:  3 * cfg.KeepAlive,
		writeTimeout: cfg.WriteTimeout,
		small:        make([]byte, 0, frameHeader+smallBody),
	}
}

func (c *timedConn) Read(p []byte) (int, error) {
	if until := time.Now().Add(c.readTimeout); until.Sub(c.readUntil) > c.readTimeout/8 {
		c.readUntil = until
		if err := c.SetReadDeadline(until); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

func (c *timedConn) Write(p []byte) (int, error) {
	if len(c.small) == 0 && hasBody(p) {
		c.small = append(c.small, p...)
		return len(p), nil
	}
	if until := time.Now().Add(c.writeTimeout); until.Sub(c.writeUntil) > c.writeTimeout/8 {
		c.writeUntil = until
		if err := c.SetWriteDeadline(until); err != nil {
			return 0, err
		}
	}
	if len(c.small) == 0 {
		return c.Conn.Write(p)
	}
	header := c.small
	c.small = c.small[:0]
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

// hasBody reports whether p is the header of a yamux frame that is followed by
// a body: type 0, data, with a length.
func hasBody(p []byte) bool {
	return len(p) == frameHeader && p[1] == 0 && binary.BigEndian.Uint32(p[8:]) > 0
}
