package shuffle

import (
	"bufio"
	"context"
	"io"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
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
	for i, id := range r.ids {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if s.ctx.Err() != nil {
			return ErrClosed
		}
		n, err := s.send(w, r, i, id)
		sent += n
		if err != nil {
			return err
		}
	}
	if _, err := w.Write(frame{kind: frameEnd, number: uint32(len(r.ids))}.append(nil)); err != nil {
		return err
	}
	return w.Flush()
}

// send sends the partition of the map output id, which is the one of the given
// number in the request. It returns how many bytes of blocks it sent.
func (s *Shuffle) send(w io.Writer, r request, number int, id job.MapOutputID) (sent int64, err error) {
	f := frame{kind: frameMissing, number: uint32(number)}
	held := s.held(r.run, id)
	if held == nil {
		_, err := w.Write(f.append(nil))
		return 0, err
	}
	file, layers, err := openOutput(held, id, r.part)
	if err != nil {
		if !isLost(err) {
			return 0, err
		}
		s.damaged(held, id, err)
		_, err := w.Write(f.append(nil))
		return 0, err
	}
	defer file.Close()
	for i, seg := range layers {
		f := frame{kind: frameHere, number: uint32(number), more: byte(len(layers) - 1 - i), seg: seg}
		if _, err := w.Write(f.append(nil)); err != nil {
			return sent, err
		}
		n, err := io.CopyN(w, io.NewSectionReader(file, seg.off, seg.size), seg.size)
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}
