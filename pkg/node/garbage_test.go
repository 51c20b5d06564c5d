package node_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// hello is what a node of another kind would say to n's RPC port first.
func hello(n *node.Node, cluster string, version byte) []byte {
	body := []byte{0, 0, 0, version, 0, 0, 0, version, 0, 0} // the versions it speaks, no verdict, for calls
	body = append(body, "instance number 1"[:16]...)
	for _, s := range []string{cluster, "stranger", n.ID()} {
		body = append(append(body, byte(len(s))), s...)
	}
	head := binary.BigEndian.AppendUint16([]byte("muster\r\n"), uint16(len(body)))
	return append(head, body...)
}

// session is a hello, the confirmation that follows the answer, and frames of
// the session.
func session(n *node.Node, frames ...[]byte) []byte {
	return append(append(hello(n, "muster", 1), 1), bytes.Join(frames, nil)...)
}

// frame is a frame of yamux: its kind, flags, stream and the length it claims,
// with a body that may be shorter.
func frame(kind, flags byte, stream, length uint32, body string) []byte {
	b := []byte{0, kind, 0, flags}
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, length)
	return append(b, body...)
}

// send writes b to addr and returns what the other side has to say to it.
// Whether that closes the connection or waits for more is its business.
func send(t *testing.T, addr string, b []byte) (answer []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Errorf("dial %s: %v", addr, err)
		return nil
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := conn.Write(b); err == nil {
		answer, _ = io.ReadAll(conn)
	}
	return answer
}

// welcome reports whether an answer to a hello says that it was accepted.
func welcome(answer []byte) bool {
	const verdict = len("muster\r\n") + 2 + 8
	return bytes.HasPrefix(answer, []byte("muster\r\n")) && len(answer) > verdict && answer[verdict] == 1
}

// TestGarbageOnAnyPortIsRefused sends noise, protocols of others, nodes that do
// not belong and frames that claim four gibibytes to all ports of a node that
// is at work, which goes on and needs no memory for it.
func TestGarbageOnAnyPortIsRefused(t *testing.T) {
	log := make(hears, 1000)
	n := start(t, node.Config{Logger: slog.New(log), Slots: 2, Processors: mapreduce.Registry{"echo": echo, "wordcount": mapreduce.Of(wordCount{})}})
	rpc := n.Members()[0].RPC
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	const huge = 1<<32 - 1
	streams := map[string][]byte{
		"noise":                 noise,
		"a browser":             []byte("GET / HTTP/1.1\r\nHost: here\r\n\r\n"),
		"TLS":                   []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		"nothing":               nil,
		"zeros":                 make([]byte, 4096),
		"a huge hello":          []byte("muster\r\n\xff\xff"),
		"another cluster":       hello(n, "other", 1),
		"another version":       hello(n, "muster", 9),
		"a frame of 4 GiB":      session(n, frame(0, 1, 1, huge, "x")),
		"a window of 4 GiB":     session(n, frame(1, 1, 1, huge, "")),
		"a call of 4 GiB":       session(n, frame(0, 1, 1, 15, "\x09state.run\xff\xff\xff\xff\x00")),
		"a method of 4 GiB":     session(n, frame(0, 1, 1, 4, "\xff\xff\xff\xff")),
		"a call that is noise":  session(n, frame(0, 1, 1, 30, "\x09state.run\x00\x00\x00\x10"+string(noise[:16]))),
		"a map of 4 Gi entries": session(n, frame(0, 1, 1, 19, "\x09state.run\x00\x00\x00\x05\xdf\xff\xff\xff\xff")),
		"a kind of frame":       session(n, frame(9, 1, 1, huge, "")),
		// The gossip library's: a label, then the exchange of all that is known,
		// with a header that claims a list and a user state without end.
		"gossip of another cluster": []byte("\xf4\x05other\x06"),
		"gossip without end":        []byte("\xf4\x0dmuster/muster\x06\x83\xa5Nodes\xce\x7f\xff\xff\xff\xacUserStateLen\xce\x7f\xff\xff\xff\xa4Join\xc3"),
		"gossip that is packed":     []byte("\xf4\x0dmuster/muster\x09\x82\xa4Algo\x00\xa3Buf\xc6\xff\xff\xff\xff"),
		"gossip that is encrypted":  []byte("\xf4\x0dmuster/muster\x0a\xff\xff\xff\xff"),
		"a user message of gossip":  []byte("\xf4\x0dmuster/muster\x08\x81\xaeUserMsgLen\xce\x7f\xff\xff\xff"),
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	count := 0
	for _, addr := range []string{rpc, n.Gossip()} {
		for name, b := range streams {
			count++
			go func() {
				// What comes after a hello is no test of anything if that is refused.
				answer := send(t, addr, b)
				if want := addr == rpc && bytes.HasPrefix(b, session(n)); welcome(answer) != want {
					t.Errorf("%s: got the answer %q, want that it is accepted: %v", name, answer, want)
				}
				done <- struct{}{}
			}()
		}
	}
	udp, err := net.Dial("udp", n.Gossip())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for i := range 200 {
		_, _ = udp.Write(noise[i : i+1+rng.IntN(1400)])
		for _, b := range streams {
			_, _ = udp.Write(b[:min(len(b), 1400)])
		}
	}
	for range count {
		stillWorks(t, n) // all the while
		<-done
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<30 {
		t.Errorf("%d MiB were allocated meanwhile, want less than a gibibyte", grown>>20)
	}
	if got := n.Members(); len(got) != 1 {
		t.Errorf("got members %+v, want the node alone", got)
	}
	log.wait(t, "connection refused", "gossip refused")
	do(t, n, job.Spec{Processor: "wordcount", Input: job.Values(strings.Repeat("word ", 1000))})
}
