package shuffle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fetchNodes  = 4                // nodes that a reader fetches from at once
	fetchTries  = 5                // failures in a row, without a segment gained, that are borne
	fetchBuffer = 32 << 10         // of a stream
	stalled     = 30 * time.Second // after which a stream that brings nothing is broken off
)

var errStalled = fmt.Errorf("nothing came for %v", stalled)

// opener opens a stream to a node and sends a request on it. What is read from
// it ends with io.EOF only if the answer is complete.
type opener func(ctx context.Context, node string, req []byte) (io.ReadCloser, error)

// pause is how long to wait after failures in a row.
func pause(failures int) time.Duration {
	d := 100 * time.Millisecond << min(failures-1, 5)
	return d - time.Duration(rand.Int64N(int64(d)/4))
}

// fetch gets what is wanted of the nodes that hold it, of a few at a time.
func (r *Reader) fetch(ctx context.Context, nodes []string, wanted map[string][]*wanted) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(fetchNodes, len(nodes)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= len(nodes) || ctx.Err() != nil {
					return
				}
				r.fetchFrom(ctx, nodes[i], wanted[nodes[i]])
			}
		})
	}
	wg.Wait()
}

// fetchFrom gets all that is wanted of node. What it can't get it reports as
// lost.
func (r *Reader) fetchFrom(ctx context.Context, node string, all []*wanted) {
	failures := 0
	for len(all) > 0 {
		n, begun, err := r.stream(ctx, node, all[:min(len(all), maxWanted)])
		all = all[n:]
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failures = 0
			continue
		}
		var own *ownError
		if errors.As(err, &own) {
			r.failed(own.err)
			return
		}
		if n > 0 {
			failures = 0
		}
		failures++
		if failures < fetchTries {
			wait := time.NewTimer(r.s.pause(failures))
			select {
			case <-ctx.Done():
				wait.Stop()
				return
			case <-wait.C:
			}
			continue
		}
		err = fmt.Errorf("fetch from %s: %w", node, err)
		if !begun {
			r.lose(err, all...)
			return
		}
		// The node is there: it is this one that can't be read.
		r.lose(err, all[0])
		all, failures = all[1:], 0
	}
}

// ownError is an error in putting away what was fetched.
type ownError struct{ err error }

func (e *ownError) Error() string { return e.err.Error() }

// stream gets what is wanted of node over one stream. It returns how many map
// outputs were got or are missing for good, and whether the node began to send
// the one after them.
func (r *Reader) stream(ctx context.Context, node string, all []*wanted) (n int, begun bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stalled, func() { cancel(errStalled) })
	defer watch.Stop()
	st, err := r.s.open(ctx, node, appendRequest(nil, r.cfg.Run, r.cfg.Partition, all))
	if err != nil {
		return 0, false, err
	}
	defer st.Close()
	stop := context.AfterFunc(ctx, func() { st.Close() })
	defer stop()

	a := arrival{r: r, acct: r.acct}
	defer a.drop()
	size := min(fetchBuffer, r.s.budget.sizes.block)
	r.acct.force(int64(size))
	defer r.acct.shrink(int64(size))
	a.in = bufio.NewReaderSize(&watched{st, watch, &r.fetched}, size)
	for ; n < len(all); n++ {
		f, err := a.frame(n)
		if err != nil {
			return n, false, err
		}
		switch f.kind {
		case frameEnd:
			return n, false, corrupt("answer ends after %d of %d map outputs", n, len(all))
		case frameMissing:
			r.lose(fmt.Errorf("%s does not hold it", node), all[n])
			continue
		}
		if err := a.output(all[n], f); err != nil {
			return n, true, err
		}
	}
	f, err := a.frame(n)
	if err == nil && f.kind != frameEnd {
		err = corrupt("answer goes on after %d map outputs", n)
	}
	return n, false, err
}

// watched is a stream that counts what it brings, and puts off the watch.
type watched struct {
	io.Reader
	watch *time.Timer
	bytes *atomic.Int64
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	w.bytes.Add(int64(n))
	w.watch.Reset(stalled)
	return n, err
}

// arrival takes in the answer to a request.
type arrival struct {
	r    *Reader
	acct *account
	in   *bufio.Reader
	buf  []byte // a block on its way to disk
	head [max(frameSize, blockHead)]byte
}

func (a *arrival) drop() { a.buf = a.acct.free(a.buf) }

func (a *arrival) frame(number int) (frame, error) {
	if _, err := io.ReadFull(a.in, a.head[:frameSize]); err != nil {
		return frame{}, cut(err)
	}
	return parseFrame(a.head[:frameSize], number)
}

// output takes in the layers of a map output, of which f begins the first. It
// changes w only if all of them are sound.
func (a *arrival) output(w *wanted, f frame) (err error) {
	segs := make([]*segment, 0, int(f.more)+1)
	defer func() {
		if err != nil {
			for _, seg := range segs {
				a.acct.free(seg.mem)
			}
		}
	}()
	for {
		seg := &segment{part: a.r.cfg.Partition, id: w.id, layer: len(segs)}
		if err := a.segment(seg, f.seg); err != nil {
			return err
		}
		segs = append(segs, seg)
		if f.more == 0 {
			w.segs = segs
			return nil
		}
		next, err := a.frame(int(f.number))
		if err != nil {
			return err
		}
		if next.kind != frameHere || next.more != f.more-1 {
			return corrupt("frame of kind %d with %d more after one with %d", next.kind, next.more, f.more)
		}
		f = next
	}
}

// segment takes in the segment e and checks each block: into memory if there
// is enough, else to disk. It changes seg only if all of it is sound.
func (a *arrival) segment(seg *segment, e extent) error {
	mem := a.acct.grow(e.size, 2)
	var to []byte
	var at int64
	if mem {
		to = make([]byte, e.size)
	} else {
		var err error
		if at, err = a.r.reserve(e.size); err != nil {
			return &ownError{err}
		}
	}
	err := a.blocks(uint32(seg.part), e, to, at)
	switch {
	case err == nil && mem:
		seg.mem = to
	case err == nil:
		seg.file, e.off = a.r.spill, at
		a.r.spilled(e.size)
	case mem:
		a.acct.shrink(e.size)
	}
	if err == nil {
		seg.extent = e
	}
	return err
}

// blocks takes in the blocks of a segment, into mem unless it is nil, else to
// the spill file from at on.
func (a *arrival) blocks(part uint32, e extent, mem []byte, at int64) error {
	for n, pos := uint32(0), int64(0); pos < e.size; n++ {
		left := e.size - pos
		if left < blockHead {
			return corrupt("segment with a rest of %d bytes", left)
		}
		if _, err := io.ReadFull(a.in, a.head[:blockHead]); err != nil {
			return cut(err)
		}
		b, err := parseBlock(a.head[:blockHead], left-blockHead)
		if err != nil {
			return err
		}
		size := blockHead + int64(b.enc)
		var to []byte
		if mem != nil {
			to = mem[pos : pos+size]
		} else {
			a.buf = a.acct.room(a.buf[:0], int(size))
			to = a.buf[:size]
		}
		copy(to, a.head[:blockHead])
		if _, err := io.ReadFull(a.in, to[blockHead:]); err != nil {
			return cut(err)
		}
		if checksum(to, to[blockHead:], part, n) != b.sum {
			return corrupt("checksum of block %d of partition %d", n, part)
		}
		if mem == nil {
			if _, err := a.r.spill.WriteAt(to, at+pos); err != nil {
				return &ownError{fmt.Errorf("shuffle: put a fetched segment on disk: %w", err)}
			}
		}
		pos += size
	}
	return nil
}

// cut makes an error of an end of the stream that comes too early.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
