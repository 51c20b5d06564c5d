package simnet

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// half is one direction of a connection: what has been written and not yet
// read. All of it is guarded by Net.mu.
type half struct {
	from, to *Host
	link     *link
	segments []segment
	size     int       // bytes in segments
	last     time.Time // when the last segment arrives; later ones not before
	fin      bool      // nothing is written any more
	finDue   time.Time // when the reader may know that
	reset    bool      // the writer was killed
	change   signal
}

type segment struct {
	data []byte
	due  time.Time
}

const (
	sendBuffer  = 256 << 10 // bytes a half holds before its writer waits
	segmentSize = 64 << 10
)

// conn is one end of a connection.
type conn struct {
	host          *Host
	local, remote net.Addr
	in, out       *half
	peer          *conn

	readDeadline, writeDeadline deadline

	// Guarded by Net.mu.
	err error // why this end is of no use any more
}

// connectLocked makes a connection and puts its far end before the listener.
func (n *Net) connectLocked(from *Host, l *listener) *conn {
	port, err := bindLocked(from, map[int]*listener(nil), "dial", "tcp", ":0")
	if err != nil {
		panic(err) // no port is in use in an empty map
	}
	to := l.host
	there := &half{from: from, to: to, link: n.linkLocked(from, to)}
	back := &half{from: to, to: from, link: n.linkLocked(to, from)}
	a := &conn{host: from, local: from.addr(port), remote: to.addr(l.port), in: back, out: there}
	b := &conn{host: to, local: a.remote, remote: a.local, in: there, out: back}
	a.peer, b.peer = b, a
	for _, c := range []*conn{a, b} {
		c.readDeadline.init()
		c.writeDeadline.init()
		c.host.conns[c] = struct{}{}
	}
	l.queue = append(l.queue, b)
	l.change.changed()
	return a
}

func (c *conn) Read(p []byte) (int, error) {
	n := c.host.net
	for {
		if c.readDeadline.over() {
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		}
		n.mu.Lock()
		if c.err != nil {
			n.mu.Unlock()
			return 0, c.fail("read", c.err)
		}
		got, due, err := c.in.readLocked(n, p)
		change := c.in.change.wait()
		n.mu.Unlock()
		switch {
		case errors.Is(err, io.EOF):
			return 0, io.EOF
		case err != nil:
			return 0, c.fail("read", err)
		case got > 0 || len(p) == 0:
			return got, nil
		}
		wait(change, &c.readDeadline, due)
	}
}

// readLocked moves what has arrived to p. If that is nothing, it returns when
// something will be there; the zero time means that only a change can tell.
func (h *half) readLocked(n *Net, p []byte) (got int, due time.Time, err error) {
	if n.heldLocked(h.from, h.to) {
		return 0, time.Time{}, nil
	}
	if h.reset {
		return 0, time.Time{}, syscall.ECONNRESET
	}
	now := time.Now()
	for len(h.segments) > 0 && got < len(p) {
		s := &h.segments[0]
		if s.due.After(now) {
			if got == 0 {
				due = s.due
			}
			break
		}
		m := copy(p[got:], s.data)
		got += m
		h.size -= m
		if s.data = s.data[m:]; len(s.data) == 0 {
			h.segments[0] = segment{}
			h.segments = h.segments[1:]
		}
	}
	if got > 0 {
		h.change.changed()
		return got, due, nil
	}
	if len(h.segments) == 0 && h.fin {
		if h.finDue.After(now) {
			return 0, h.finDue, nil
		}
		return 0, due, io.EOF
	}
	return 0, due, nil
}

func (c *conn) Write(p []byte) (int, error) {
	n := c.host.net
	done := 0
	for {
		if c.writeDeadline.over() {
			return done, c.fail("write", os.ErrDeadlineExceeded)
		}
		n.mu.Lock()
		err := c.writeErrLocked()
		if err == nil {
			done += c.out.writeLocked(n, p[done:])
		}
		change := c.out.change.wait()
		n.mu.Unlock()
		if err != nil {
			return done, c.fail("write", err)
		}
		if done == len(p) {
			return done, nil
		}
		wait(change, &c.writeDeadline, time.Time{})
	}
}

// writeErrLocked returns why nothing can be written. That the other end is
// closed shows only if its word gets through.
func (c *conn) writeErrLocked() error {
	n := c.host.net
	switch {
	case c.err != nil:
		return c.err
	case c.peer.err == nil || n.heldLocked(c.host, c.peer.host) || n.heldLocked(c.peer.host, c.host):
		return nil
	case c.in.reset:
		return syscall.ECONNRESET
	}
	return syscall.EPIPE
}

func (h *half) writeLocked(n *Net, p []byte) int {
	done := 0
	for done < len(p) && h.size < sendBuffer {
		m := min(len(p)-done, segmentSize, sendBuffer-h.size)
		data := make([]byte, m)
		copy(data, p[done:])
		h.segments = append(h.segments, segment{data, h.arrivalLocked(n, m)})
		h.size += m
		done += m
	}
	if done > 0 {
		h.change.changed()
	}
	return done
}

// arrivalLocked is Net.arrivalLocked, and never before what was sent earlier.
func (h *half) arrivalLocked(n *Net, size int) time.Time {
	due := n.arrivalLocked(h.link, size)
	if due.Before(h.last) {
		return h.last
	}
	h.last = due
	return due
}

// wait returns when there is reason to look again: a change, the deadline, or
// that it is due.
func wait(change <-chan struct{}, d *deadline, due time.Time) {
	var arrived <-chan time.Time
	if !due.IsZero() {
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		arrived = timer.C
	}
	select {
	case <-change:
	case <-d.wait():
	case <-arrived:
	}
}

// Close ends this end in order: the other end reads what was written, and
// then the end.
func (c *conn) Close() error {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if errors.Is(c.err, net.ErrClosed) {
		return c.fail("close", net.ErrClosed)
	}
	c.out.fin = true
	c.out.finDue = c.out.arrivalLocked(n, 0)
	c.breakLocked(net.ErrClosed)
	return nil
}

// abortLocked ends this end as the death of its process does.
func (c *conn) abortLocked() {
	c.out.reset = true
	c.breakLocked(net.ErrClosed)
}

// breakLocked makes all reads and writes of this end fail with err.
func (c *conn) breakLocked(err error) {
	c.err = err
	delete(c.host.conns, c)
	c.in.change.changed()
	c.out.change.changed()
	c.readDeadline.stop()
	c.writeDeadline.stop()
}

func (c *conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.readDeadline.set(t)
	c.writeDeadline.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.readDeadline.set(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writeDeadline.set(t)
	return nil
}
