package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/internal/runlog"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
)

// logs is the way of what attempts on this node log to the servers, all of which
// keep it. Lines are settled when one of them has them; a server that does not
// answer gets them later, if it is back before too much has come together.
type logs struct {
	n         *Node
	collector *runlog.Collector
	wg        sync.WaitGroup

	mu   sync.Mutex
	owed map[string]*owed // by the ID of a server that did not answer; guarded by mu
}

// owed is what a server has not got.
type owed struct {
	packets [][][]byte // the oldest first; guarded by logs.mu
	bytes   int        // guarded by logs.mu
}

const (
	// logEvery is how long lines wait for others to go with them.
	logEvery = 100 * time.Millisecond
	// logTimeout is how long a server may take for a packet, before the others
	// go on without it.
	logTimeout = 2 * time.Second
	// maxPacket bounds what goes to a server at a time, maxOwed what is kept for
	// one that does not answer, and maxOwedFor for how long.
	maxPacket  = 1 << 20
	maxOwed    = 4 << 20
	maxOwedFor = 10 * time.Minute
)

func newLogs(n *Node) *logs {
	return &logs{n: n, collector: runlog.NewCollector(n.cfg.Name, n.wall), owed: map[string]*owed{}}
}

// ship hands on what there is as long as the node lives.
func (s *logs) ship() {
	ctx := s.n.ctx
	defer s.wg.Wait()
	for {
		select {
		case <-s.collector.Some():
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			s.gather(ctx)
			t := s.collector.Take(maxPacket)
			if t.Lines() == 0 {
				break
			}
			s.collector.Settle(t, s.deliver(ctx, t.Batches()))
		}
	}
}

// gather waits for more lines, unless somebody waits for those there are.
func (s *logs) gather(ctx context.Context) {
	t := time.NewTimer(logEvery)
	defer t.Stop()
	for !s.collector.Urgent() {
		select {
		case <-t.C:
			return
		case <-s.collector.Some():
		case <-ctx.Done():
			return
		}
	}
}

// deliver hands batches to all servers and returns when one of them has them, or
// with why none ever will.
func (s *logs) deliver(ctx context.Context, batches [][]byte) (why string) {
	for wait := logEvery; ; wait = min(2*wait, logTimeout) {
		kept, late, refused := s.offer(ctx, batches)
		switch {
		case kept:
			for _, id := range late {
				s.owe(id, batches)
			}
			return ""
		case refused != nil && len(late) == 0:
			s.n.log.Warn("no server keeps what tasks have logged", telemetry.Err(plain(refused)))
			if is(refused, runlog.ErrFull) {
				return "the servers have no room on their disks"
			}
			return "the servers refused them"
		}
		if !pause(ctx, wait) {
			return "the node was stopped"
		}
	}
}

// offer hands batches to each server that is there and is not owed others. It
// tells whether one of them has them, which are to get them later, and why one
// refuses them.
func (s *logs) offer(ctx context.Context, batches [][]byte) (kept bool, late []string, refused error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, m := range s.n.servers() {
		s.mu.Lock()
		behind := s.owed[m.ID] != nil
		s.mu.Unlock()
		if behind || !s.n.peers.knows(m.ID) {
			mu.Lock()
			late = append(late, m.ID)
			mu.Unlock()
			continue
		}
		wg.Go(func() {
			err := s.hand(ctx, m.ID, batches)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				kept = true
			case isRefusal(err):
				refused = err
			default:
				late = append(late, m.ID)
			}
		})
	}
	wg.Wait()
	return kept, late, refused
}

func (s *logs) hand(ctx context.Context, id string, batches [][]byte) error {
	_, err := ask[wire.Nothing](ctx, s.n, id, wire.MethodLogAppend, wire.LogBatches{Batches: batches})
	return err
}

// isRefusal reports whether err is what a server has answered.
func isRefusal(err error) bool {
	var remote *transport.RemoteError
	return errors.As(err, &remote) && !is(err, ErrStopped) && !is(err, runlog.ErrClosed)
}

// owe notes that a server has not got batches, and sees to it that it does if it
// answers again.
func (s *logs) owe(id string, batches [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.owed[id]
	if o == nil {
		o = &owed{}
		s.owed[id] = o
		s.wg.Go(func() { s.settle(id, o) })
	}
	o.packets = append(o.packets, batches)
	o.bytes += bytesOf(batches)
	for o.bytes > maxOwed && len(o.packets) > 1 {
		o.bytes -= bytesOf(o.packets[0])
		o.packets = o.packets[1:]
	}
}

func bytesOf(batches [][]byte) (n int) {
	for _, b := range batches {
		n += len(b)
	}
	return n
}

// settle hands a server what it is owed, until it has all or is not heard of for
// too long.
func (s *logs) settle(id string, o *owed) {
	since := time.Now()
	for wait := logEvery; pause(s.n.ctx, wait); {
		s.mu.Lock()
		packet := o.packets[0]
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(s.n.ctx, logTimeout)
		err := s.hand(ctx, id, packet)
		cancel()
		if err != nil && !isRefusal(err) && time.Since(since) < maxOwedFor {
			wait = min(2*wait, logTimeout)
			continue
		}
		since, wait = time.Now(), 0
		if s.paid(id, o, packet, err != nil && !isRefusal(err)) {
			return
		}
	}
}

// paid notes that a server has got a packet, or that it is given up. It reports
// whether it is owed nothing more.
func (s *logs) paid(id string, o *owed, packet [][]byte, giveUp bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if &o.packets[0][0] == &packet[0] { // else there were too many
		o.bytes -= bytesOf(packet)
		o.packets = o.packets[1:]
	}
	if giveUp || len(o.packets) == 0 {
		delete(s.owed, id)
		return true
	}
	return false
}

// ask is call over the session for bulk, for what may be large.
func ask[Resp, Req any](ctx context.Context, n *Node, to, method string, req Req) (resp Resp, err error) {
	b, err := codec.Marshal(req)
	if err != nil {
		return resp, fmt.Errorf("node: %s: %w", method, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := n.transport.Open(ctx, to, method, b)
	if err != nil {
		return resp, err
	}
	defer s.Close()
	err = wire.Hear(bufio.NewReader(s), &resp)
	return resp, err
}

// handleAsk answers a method that is asked.
func handleAsk[Req, Resp any](n *Node, method string, f func(ctx context.Context, req Req) (Resp, error)) {
	n.transport.HandleStream(method, func(ctx context.Context, _ string, b []byte, out transport.Stream) error {
		if err := n.awaitReady(ctx); err != nil {
			return err
		}
		var req Req
		if err := codec.Unmarshal(b, &req); err != nil {
			return fmt.Errorf("node: message %s: %w", method, err)
		}
		resp, err := f(ctx, req)
		if err != nil {
			return err
		}
		return wire.Say(out, resp)
	})
}
