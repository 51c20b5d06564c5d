package shuffle

import (
	"bufio"
	"context"
	"io"

	"github.com/musterhq/muster/internal/telemetry"
)

// serveBuffer is how much is sent at once.
const serveBuffer = 64 << 10

// serve answers a request on st. Blocks are sent as they are in the file: who
// gets them checks them. An error tells the other end that the answer is not
// complete.
func (s *Shuffle) serve(ctx context.Context, req []byte, st io.WriteCloser) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.wg.Done()
	stop := context.AfterFunc(s.ctx, func() { st.Close() })
	defer stop()
	r, err := parseRequest(req)
	if err != nil {
		return err
	}
	size := min(serveBuffer, s.budget.sizes.block)
	s.serving.force(int64(size))
	defer s.serving.shrink(int64(size))
	w := bufio.NewWriterSize(st, size)
	var sent int64
	defer func() { s.meter.Shuffled(ctx, telemetry.Served, sent) }()
	var head []byte
	for i, id := range r.ids {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if s.ctx.Err() != nil {
			return ErrClosed
		}
		f := frame{kind: frameMissing, number: uint32(i)}
		held := s.held(r.run, id)
		if held == nil {
			head = f.append(head[:0])
			if _, err := w.Write(head); err != nil {
				return err
			}
			continue
		}
		file, seg, err := openOutput(held, id, r.part)
		switch {
		case err == nil:
			f.kind, f.seg = frameHere, seg
		case !isLost(err):
			return err
		case held.err() == nil:
			s.damaged(held, id, err)
		}
		head = f.append(head[:0])
		_, err = w.Write(head)
		if file != nil {
			if err == nil && seg.size > 0 {
				var n int64
				n, err = io.CopyN(w, io.NewSectionReader(file, seg.off, seg.size), seg.size)
				sent += n
			}
			file.Close()
		}
		if err != nil {
			return err
		}
	}
	if _, err := w.Write(frame{kind: frameEnd, number: uint32(len(r.ids))}.append(head[:0])); err != nil {
		return err
	}
	return w.Flush()
}
