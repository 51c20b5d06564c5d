// Package transporttest is the promises of package transport as a test suite,
// for every network that a transport may run on.
package transporttest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/transport"
)

// Run runs the suite. Network returns two ends of a fresh network, between
// which each can dial what the other listens on. An address such as
// 127.0.0.1:0 must do for listening on either.
func Run(t *testing.T, network func(t *testing.T) (a, b transport.Network)) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, p *pair)
	}{
		{"AHandlerAnswersItsCaller", testAnswer},
		{"AnErrorKeepsItsCode", testErrors},
		{"APanicFailsOneRequestOnly", testPanic},
		{"ACallToOneselfIsLikeAnyOther", testSelf},
		{"ManyCallsAtOnce", testManyCalls},
		{"CallersBeyondTheLimitWait", testLimit},
		{"WhatCallersWaitForGoesAheadOfThem", testAhead},
		{"ManyCallersDialOnce", testOneDial},
		{"WhatIsTooLargeIsRefused", testTooLarge},
		{"CancelReachesTheHandler", testCancel},
		{"NobodyThere", testUnreachable},

		{"LargeStreamsBothWays", testLargeStreams},
		{"SmallWritesArrive", testSmallWrites},
		{"AStreamCutShortIsNoWholeOne", testStreamError},
		{"AnUploadGivenUpIsNoWholeOne", testUploadGivenUp},
		{"AHandlerThatReturnsStopsTheWriter", testHandlerReturns},
		{"CancelReachesAStreamNobodyReads", testStreamCancel},
		{"WhatIsDroppedUnreadHasNoEnd", testDropped},
		{"ASlowReaderDelaysNobody", testSlowReader},

		{"APeerThatOnlyDialsIsAFullPeer", testDialOnly},
		{"APeerMayBeRestarted", testRestart},
		{"APeerMayBeDropped", testDrop},
		{"CloseEndsWhatIsInFlight", testClose},
		{"AnotherClusterIsRefused", testCluster},
		{"AnotherVersionIsRefused", testVersion},
		{"AnotherNodeIsRefused", testWrongID},
		{"GarbageDoesNoHarm", testGarbage},
		{"AFrameOf4GiBIsRefused", testHugeFrame},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newPair(t, network)) })
	}
}

// pair is two nodes, "a" and "b", that know each other's address.
type pair struct {
	t          *testing.T
	netA, netB transport.Network
	a, b       *transport.Transport
	logA, logB *logs

	mu    sync.Mutex
	addrs map[string]string // guarded by mu; what IDs resolve to
}

func newPair(t *testing.T, network func(t *testing.T) (a, b transport.Network)) *pair {
	p := &pair{t: t, addrs: make(map[string]string), logA: newLogs(), logB: newLogs()}
	p.netA, p.netB = network(t)
	return p
}

// start starts both nodes. Change may set more of their configurations.
func (p *pair) start(change ...func(a, b *transport.Config)) {
	p.t.Helper()
	a := transport.Config{ID: "a", Cluster: "test", Network: p.netA, Resolve: p.resolve, Logger: slog.New(p.logA)}
	b := transport.Config{ID: "b", Cluster: "test", Network: p.netB, Resolve: p.resolve, Logger: slog.New(p.logB)}
	for _, c := range change {
		c(&a, &b)
	}
	p.a, p.b = p.listen(a), p.listen(b)
}

func (p *pair) listen(cfg transport.Config) *transport.Transport {
	p.t.Helper()
	tr, err := transport.Listen(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { tr.Close() })
	p.setAddr(cfg.ID, tr.Addr())
	tr.Handle("echo", func(_ context.Context, _ string, req []byte) ([]byte, error) { return req, nil })
	tr.HandleStream("echo", func(_ context.Context, _ string, _ []byte, s transport.Stream) error {
		_, err := io.Copy(s, s)
		return err
	})
	return tr
}

func (p *pair) setAddr(id, addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addrs[id] = addr
}

func (p *pair) resolve(id string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	addr, ok := p.addrs[id]
	return addr, ok
}

// nowhere resolves nothing.
func nowhere(string) (string, bool) { return "", false }

// patience bounds every wait of the suite, so that a test fails and does not
// hang. Nothing that works takes nearly as long.
const patience = 30 * time.Second

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// receive waits for a value.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-bounded(t).Done():
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// mustEcho fails the test unless one node can call the other.
func mustEcho(t *testing.T, from *transport.Transport, to string) {
	t.Helper()
	want := "hello, " + to
	got, err := from.Call(bounded(t), to, "echo", []byte(want))
	if err != nil || string(got) != want {
		t.Fatalf("echo at %q = %q, %v, want %q", to, got, err, want)
	}
}

// logs keeps what a node logs, and hands out lines of Warn and above.
type logs struct{ lines chan string }

func newLogs() *logs { return &logs{lines: make(chan string, 100)} }

func (l *logs) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *logs) WithGroup(string) slog.Handler                    { return l }

func (l *logs) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	select {
	case l.lines <- line:
	default:
	}
	return nil
}
