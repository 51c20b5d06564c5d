package transport

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func testHello() *hello {
	return &hello{
		minVersion: 1,
		maxVersion: 2,
		accepted:   true,
		kind:       bulk,
		instance:   [instanceSize]byte{0xaa, 15: 0xbb},
		cluster:    "test",
		id:         "n1",
		want:       "n2",
	}
}

func TestHelloStaysAsItIs(t *testing.T) {
	const want = "6d75737465720d0a" + "0025" + "00000001" + "00000002" + "01" + "01" +
		"aa0000000000000000000000000000bb" + "0474657374" + "026e31" + "026e32"
	if got := hex.EncodeToString(testHello().append(nil)); got != want {
		t.Errorf("got  %s\nwant %s\nAll versions must understand each other's hello.", got, want)
	}
	longer := testHello().append(nil)
	longer = append(longer, "of a later version"...)
	longer[len(magic)+1] += byte(len("of a later version"))
	got, err := readHello(bytes.NewReader(longer))
	if err != nil || *got != *testHello() {
		t.Errorf("got %+v, %v, want %+v", got, err, testHello())
	}
}

func FuzzHello(f *testing.F) {
	whole := testHello().append(nil)
	for i := range whole {
		f.Add(whole[:i])
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHello(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := readHello(bytes.NewReader(h.append(nil)))
		if err != nil || *again != *h {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
	})
}

// endless gives no end of zeros, and counts them.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	e.n += len(p)
	return len(p), nil
}

func TestALengthIsCheckedBeforeItIsBelieved(t *testing.T) {
	var r endless
	for _, size := range []uint32{1001, 1 << 31, math.MaxUint32} {
		var large *tooLarge
		if _, err := readN(&r, "request", size, 1000); !errors.As(err, &large) || r.n > 0 {
			t.Errorf("%d bytes: %v after reading %d, want a refusal at once", size, err, r.n)
		}
	}
	// What is within the limit is allocated as it comes, not as it is claimed.
	short := func() { readN(strings.NewReader("short"), "request", 1<<30, 1<<30) }
	if got := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			short()
		}
	}).AllocedBytesPerOp(); got > 2*readStep {
		t.Errorf("a claim of 1 GiB allocated %d bytes", got)
	}
	for _, size := range []int{0, 1, readStep - 1, readStep, readStep + 1, 5*readStep + 7} {
		want := make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(want)
		got, err := readN(bytes.NewReader(want), "request", uint32(size), 1<<30)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		if size > 0 {
			if _, err := readN(bytes.NewReader(want[1:]), "request", uint32(size), 1<<30); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes of %d: %v, want %v", size-1, size, err, io.ErrUnexpectedEOF)
			}
		}
	}
}

func FuzzRequestAndAnswer(f *testing.F) {
	f.Add(appendRequest(nil, "method", []byte("request")))
	f.Add(appendAnswer(nil, statusOK, []byte("answer")))
	f.Add(appendAnswer(nil, statusError, appendError(nil, &RemoteError{Code: "code", Message: "message"})))
	f.Fuzz(func(t *testing.T, b []byte) {
		if method, req, err := readRequest(bytes.NewReader(b), 1<<10); err == nil {
			if again := appendRequest(nil, method, req); !bytes.HasPrefix(b, again) {
				t.Errorf("%x became %x", b, again)
			}
		}
		readAnswer(bytes.NewReader(b), "method", 1<<10)
	})
}

func TestChunksAreAQueueOfBytes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	source := rand.NewChaCha8([32]byte{byte(seed)})
	var q chunks
	var want, got bytes.Buffer
	p := make([]byte, 3*chunkSize)
	for range 2000 {
		if chance.IntN(2) == 0 {
			tail := q.tail()
			tail = tail[:1+chance.IntN(len(tail))]
			source.Read(tail)
			want.Write(tail)
			q.filled(len(tail))
			continue
		}
		got.Write(p[:q.read(p[:chance.IntN(len(p))])])
		if q.n != want.Len()-got.Len() {
			t.Fatalf("%d bytes in the queue, want %d", q.n, want.Len()-got.Len())
		}
	}
	for q.n > 0 {
		got.Write(p[:q.read(p)])
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("what came out is not what went in")
	}
}

func TestOutboxPutsSmallWritesTogether(t *testing.T) {
	var o outbox
	for _, s := range []string{"small ", "writes ", "together"} {
		if n := o.data([]byte(s), 100); n != len(s) {
			t.Fatalf("took %d bytes of %q", n, s)
		}
	}
	o.credit(7)
	if n := o.data([]byte("more than there is credit for"), 4); n != 4 {
		t.Fatalf("took %d bytes, want 4", n)
	}
	const want = "\x01\x00\x00\x00\x15small writes together" + "\x05\x00\x00\x00\x07" + "\x01\x00\x00\x00\x04more"
	if got := string(o.take(nil)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	total := 0
	for n := 1; n > 0; total += n {
		n = o.data(make([]byte, 1000), streamWindow)
	}
	if total != chunkSize-answerHeader || len(o.buf) != chunkSize {
		t.Errorf("%d bytes fit, %d with the header, want %d", total, len(o.buf), chunkSize)
	}
}

// hostile is a stream whose other end is the test.
func hostile(t *testing.T) (*stream, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	s := newStream(t.Context(), ours, "method", "peer", func(err error) error {
		return &failure{method: "method", to: "peer", kind: ErrBroken, cause: err}
	})
	start := func(f func()) bool {
		go f()
		return true
	}
	go s.pump(start, func(error) {})
	go io.Copy(io.Discard, theirs)
	t.Cleanup(func() {
		s.Close()
		theirs.Close()
		<-s.gone
	})
	return s, theirs
}

func TestAStreamHoldsItsPeerToTheProtocol(t *testing.T) {
	frame := func(typ byte, size uint32, body string) []byte {
		return append([]byte{typ, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}, body...)
	}
	for name, c := range map[string]struct {
		frames []byte
		text   string
	}{
		"more than the window":  {frame(frameData, math.MaxUint32, "x"), "frame of 4294967295 bytes, where 1048576 are allowed"},
		"one byte more":         {frame(frameData, streamWindow+1, "x"), "where 1048576 are allowed"},
		"credit for nothing":    {frame(frameCredit, 1, ""), "credit of 1 bytes"},
		"a huge error":          {frame(frameError, math.MaxUint32, ""), "error of 4294967295 bytes"},
		"an error cut short":    {frame(frameError, 2, "\x05x"), "cut short"},
		"an unknown frame":      {frame(99, 0, ""), "frame of type 99"},
		"an end with something": {frame(frameEnd, 1, "x"), "frame of type 2 and 1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s, conn := hostile(t)
			if _, err := conn.Write(c.frames[:min(len(c.frames), answerHeader)]); err != nil {
				t.Fatal(err)
			}
			go conn.Write(c.frames[answerHeader:])
			_, err := s.Read(make([]byte, 10))
			if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v and %q", err, ErrBroken, c.text)
			}
		})
	}
}

func TestAReaderThatDoesNotReadStopsTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, conn := hostile(t) // it takes everything and gives no credit
		var total atomic.Int64
		go func() {
			for {
				n, err := s.Write(make([]byte, 1000))
				total.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
		for _, want := range []int64{streamWindow, streamWindow + 500} {
			synctest.Wait()
			if got := total.Load(); got/1000 != want/1000 {
				t.Errorf("the writer got rid of %d bytes, want %d", got, want)
			}
			conn.Write([]byte{frameCredit, 0, 0, 1, 244})
		}
	})
}

func TestConfigIsRefusedWithItsField(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		cfg  Config
		text string
	}{
		{Config{}, "Config.ID is empty"},
		{Config{ID: long}, "Config.ID has 256 bytes"},
		{Config{ID: "a", Cluster: long}, "Config.Cluster has 256 bytes"},
		{Config{ID: "a", MinVersion: 9}, "Config.MinVersion 9 is above MaxVersion 1"},
		{Config{ID: "a", MaxRequest: -1}, "Config.MaxRequest is -1"},
		{Config{ID: "a", MaxStreams: 5000}, "Config.MaxStreams is 5000: use 1 to 1024"},
		{Config{ID: "a", KeepAlive: -1}, "timeout in Config is negative"},
		{Config{ID: "a", Addr: "nowhere"}, `listen on Addr "nowhere"`},
	} {
		_, err := Listen(c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("got %v, want %q", err, c.text)
		}
	}
	a, err := Listen(Config{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	_, err = Listen(Config{ID: "b", Addr: a.Addr()})
	if err == nil || !strings.Contains(err.Error(), a.Addr()) || !strings.Contains(err.Error(), "port 0 for a free one") {
		t.Errorf("a port in use: %v", err)
	}
}
