package transporttest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/transport"
)

func wantLine(t *testing.T, l *logs, texts ...string) {
	t.Helper()
	line := receive(t, l.lines, "a line in the log")
	for _, text := range texts {
		if !strings.Contains(line, text) {
			t.Errorf("the log says %q, and not %q", line, text)
		}
	}
}

func testCluster(t *testing.T, p *pair) {
	p.start(func(a, b *transport.Config) { b.Cluster = "other" })
	_, err := p.a.Call(bounded(t), "b", "echo", nil)
	wantError(t, err, transport.ErrUnreachable, p.b.Addr()+` belongs to cluster "other", not "test": set Cluster to the same label`)
	wantLine(t, p.logB, `belongs to cluster "test", not "other": set Cluster to the same label`)
}

func testVersion(t *testing.T, p *pair) {
	p.start(func(a, b *transport.Config) { b.MinVersion, b.MaxVersion = 7, 9 })
	_, err := p.a.Call(bounded(t), "b", "echo", nil)
	wantError(t, err, transport.ErrUnreachable, p.b.Addr()+" speaks protocol versions 7 to 9, this node 1 to 1: upgrade the older")
	wantLine(t, p.logB, "speaks protocol versions 1 to 1, this node 7 to 9: upgrade the older")
}

func testWrongID(t *testing.T, p *pair) {
	p.start()
	p.setAddr("c", p.b.Addr())
	_, err := p.a.Call(bounded(t), "c", "echo", nil)
	wantError(t, err, transport.ErrUnreachable, p.b.Addr()+` is node "b", not "c": correct the address`)
	wantLine(t, p.logB, `node "a" at `, `dialled "c", but this is "b": correct the address`)
	mustEcho(t, p.a, "b")
}

func dial(t *testing.T, p *pair) net.Conn {
	t.Helper()
	conn, err := p.netA.Dial(bounded(t), p.b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func testGarbage(t *testing.T, p *pair) {
	p.start(func(a, b *transport.Config) { b.DialTimeout = time.Second })
	hello := rawHello("a", "b")
	var wg sync.WaitGroup
	for name, garbage := range map[string]string{
		"a browser":      "GET / HTTP/1.1\r\nHost: b\r\n\r\n",
		"TLS":            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"a huge hello":   "muster\r\n\xff\xff",
		"a short hello":  "muster\r\n\x00\x05hello",
		"half a hello":   string(hello[:20]),
		"a lying length": string(append(hello[:len(hello)-3:len(hello)-3], "\xffb"...)),
		"nothing":        "",
	} {
		conn := dial(t, p)
		wg.Go(func() {
			if _, err := conn.Write([]byte(garbage)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if n, err := io.Copy(io.Discard, conn); n > 0 || isTimeout(err) {
				t.Errorf("%s: got %d bytes, %v, want that the connection is closed", name, n, err)
			}
		})
	}
	wg.Wait()
	wantLine(t, p.logB, "sent ", "something that is no node")
	mustEcho(t, p.a, "b")
	select {
	case line := <-p.logB.lines:
		t.Errorf("more than one line in the log: %q", line)
	default:
	}

	// The other way round: B is dialled, and something else answers.
	l, err := p.netB.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	p.setAddr("c", l.Addr().String())
	_, err = p.a.Call(bounded(t), "c", "echo", nil)
	wantError(t, err, transport.ErrUnreachable, l.Addr().String(), `answered "HTTP/1.1"`, `check that "c" listens there`)
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// rawHello is a hello as it is on the wire.
func rawHello(id, want string) []byte {
	body := []byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0} // versions 1 to 1, no verdict, control
	body = append(body, "some instance id"...)
	for _, s := range []string{"test", id, want} {
		body = append(append(body, byte(len(s))), s...)
	}
	return append(binary.BigEndian.AppendUint16([]byte("muster\r\n"), uint16(len(body))), body...)
}

// rawSession shakes hands with B as a node "x".
func rawSession(t *testing.T, p *pair) net.Conn {
	t.Helper()
	conn := dial(t, p)
	conn.Write(rawHello("x", "b"))
	head := make([]byte, 10)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint16(head[8:]))); err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte{1})
	return conn
}

// frame is a frame of the session protocol: type 0 is data, flag 1 opens the
// stream.
func frame(flags uint16, stream, length uint32, body string) []byte {
	b := []byte{0, 0}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, length)
	return append(b, body...)
}

func testHugeFrame(t *testing.T, p *pair) {
	p.start()
	p.b.Handle("never", func(context.Context, string, []byte) ([]byte, error) {
		t.Error("the handler ran")
		return nil, nil
	})
	const huge = 0xffffffff

	// A request that claims to be huge, in a frame of honest size.
	conn := rawSession(t, p)
	request := "\x05never\xff\xff\xff\xff"
	conn.Write(frame(1, 1, uint32(len(request)), request))
	wantInStream(t, conn, transport.CodeTooLarge+"transport: request of 4294967295 bytes, the limit is 8388608")
	conn.Close()

	// A frame of the session that claims to be huge.
	conn = rawSession(t, p)
	conn.Write(frame(1, 1, huge, "x"))
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Errorf("the session with a huge frame goes on: %v", err)
	}
	mustEcho(t, p.a, "b")
}

// wantInStream reads frames until the data in them contains text.
func wantInStream(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	var data strings.Builder
	for !strings.Contains(data.String(), text) {
		head := make([]byte, 12)
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatalf("%v after %q, want %q", err, data.String(), text)
		}
		if head[1] != 0 {
			continue
		}
		if _, err := io.CopyN(&data, conn, int64(binary.BigEndian.Uint32(head[8:]))); err != nil {
			t.Fatal(err)
		}
	}
}
