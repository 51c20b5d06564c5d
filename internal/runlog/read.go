package runlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// What one answer holds at most.
const (
	// MaxPage is how many lines.
	MaxPage   = 1000
	pageBytes = 4 << 20
	cameBytes = 1 << 20
)

// Page returns the lines of a run that a query asks for, in its order and at
// most MaxPage of them, and whether there may be more.
func (s *Store) Page(ctx context.Context, run job.RunID, q *job.LogQuery) ([]job.LogLine, bool, error) {
	filter, err := q.Filter()
	if err != nil {
		return nil, false, err
	}
	p := page{limit: MaxPage, order: (*job.LogLine).Compare}
	if q.Limit > 0 {
		p.limit = min(q.Limit, MaxPage)
	}
	if q.Backward {
		p.order = func(a, b *job.LogLine) int { return b.Compare(a) }
	}
	if q.Cursor != "" {
		from, err := job.LogPlace(q.Cursor)
		if err != nil {
			return nil, false, err
		}
		p.from = &from
	}
	refs, given, err := s.refsOf(run)
	if err != nil {
		return nil, false, err
	}
	if given.lines > 0 {
		note := given.line()
		p.add(&note)
	}
	if q.Backward {
		slices.SortFunc(refs, func(a, b ref) int { return cmp.Compare(b.last, a.last) })
	} else {
		slices.SortFunc(refs, func(a, b ref) int { return cmp.Compare(a.first, b.first) })
	}
	for _, r := range refs {
		if ctx.Err() != nil {
			return nil, false, context.Cause(ctx)
		}
		if p.isBefore(r, q.Backward) {
			continue
		}
		if p.isBeyond(r, q.Backward) {
			p.more = true
			break
		}
		b, err := s.batch(r)
		if isGone(err) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		for l, err := range wire.LogLines(run, b.Lines) {
			if err != nil {
				return nil, false, err
			}
			if filter.Wants(l) {
				p.add(l)
			}
		}
	}
	p.trim()
	return p.lines, p.more, nil
}

// line returns the line that stands for those which were given up.
func (l *lost) line() job.LogLine {
	return job.LogLine{
		Run: l.run, Level: 4, Time: time.Unix(0, l.until).UTC(), Dropped: l.lines,
		Text: droppedText(l.lines, "the run, or all runs together, wrote more than is kept"),
	}
}

// page is the first lines in some order, of those that it was given.
type page struct {
	order func(a, b *job.LogLine) int
	from  *job.LogLine // nil, or what all must come after
	limit int
	lines []job.LogLine
	bytes int
	full  bool // lines holds limit lines, the last of which is the last
	more  bool // some were left out
}

// isBefore reports whether a batch has nothing that comes after from.
func (p *page) isBefore(r ref, backward bool) bool {
	if p.from == nil {
		return false
	}
	at := p.from.Time.UnixNano()
	return !backward && r.last < at || backward && r.first > at
}

// isBeyond reports whether a batch, and so all that follow, has nothing that
// comes before the last line of a page that is full.
func (p *page) isBeyond(r ref, backward bool) bool {
	if len(p.lines) < p.limit {
		return false
	}
	if !p.full {
		p.trim()
	}
	if len(p.lines) < p.limit {
		return false
	}
	at := p.lines[len(p.lines)-1].Time.UnixNano()
	return !backward && r.first > at || backward && r.last < at
}

func (p *page) add(l *job.LogLine) {
	if p.from != nil && p.order(l, p.from) <= 0 {
		return
	}
	if p.full && p.order(l, &p.lines[p.limit-1]) >= 0 {
		p.more = p.more || p.order(l, &p.lines[p.limit-1]) > 0
		return
	}
	p.full = false
	p.lines = append(p.lines, *l)
	p.bytes += sizeOf(l)
	if len(p.lines) >= 2*p.limit || p.bytes >= 2*pageBytes {
		p.trim()
	}
}

// trim leaves the first lines, each once. Lines that take too much room make
// the page a shorter one.
func (p *page) trim() {
	slices.SortFunc(p.lines, func(a, b job.LogLine) int { return p.order(&a, &b) })
	p.lines = slices.CompactFunc(p.lines, func(a, b job.LogLine) bool { return p.order(&a, &b) == 0 })
	n := 0
	for p.bytes = 0; n < min(len(p.lines), p.limit); n++ {
		size := sizeOf(&p.lines[n])
		if n > 0 && p.bytes+size > pageBytes {
			p.limit = n
			break
		}
		p.bytes += size
	}
	p.more = p.more || n < len(p.lines)
	clear(p.lines[n:])
	p.lines = p.lines[:n]
	p.full = n == p.limit
}

func sizeOf(l *job.LogLine) int {
	n := 64 + len(l.Text) + len(l.Node)
	for i := range l.Attrs {
		n += len(l.Attrs[i].Key) + len(l.Attrs[i].Value) + 4
	}
	return n
}

func (s *Store) refsOf(run job.RunID) ([]ref, lost, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, lost{}, ErrClosed
	}
	r := s.runs[run]
	if r == nil {
		return nil, lost{}, nil
	}
	return slices.Clone(r.refs), r.lost, nil
}

// errGone says that a batch was given up meanwhile.
var errGone = errors.New("runlog: the lines were given up")

// isGone reports whether a batch can be left out: it was given up, or it is
// damaged, which others may not be.
func isGone(err error) bool { return errors.Is(err, errGone) || errors.Is(err, errDamaged) }

// batch reads a batch.
func (s *Store) batch(r ref) (wire.LogBatch, error) {
	s.mu.Lock()
	g := s.segmentLocked(r.seg)
	s.mu.Unlock()
	if g == nil {
		return wire.LogBatch{}, errGone
	}
	b := make([]byte, r.size)
	if _, err := g.file.ReadAt(b, int64(r.at)); errors.Is(err, os.ErrClosed) {
		return wire.LogBatch{}, errGone
	} else if err != nil {
		return wire.LogBatch{}, fmt.Errorf("runlog: %w", err)
	}
	payload, err := payloadOf(b)
	if err != nil {
		return wire.LogBatch{}, err
	}
	return wire.DecodeLogBatch(payload)
}

// Arrived returns the lines that came to this store since mark, in the order in
// which they did, and where to go on. If there are none it waits for some for as
// long as wait.
func (s *Store) Arrived(ctx context.Context, run job.RunID, f *job.LogFilter, mark wire.LogMark, wait time.Duration) (lines []job.LogLine, next wire.LogMark, more bool, err error) {
	var over <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		over = t.C
	}
	if mark.Life != s.life {
		mark = wire.LogMark{Life: s.life}
	}
	for {
		refs, came, left, err := s.since(run, &mark, wait > 0)
		if err != nil {
			return nil, mark, false, err
		}
		if len(refs) == 0 && came != nil {
			select {
			case <-came:
			case <-over:
				wait = 0
			case <-ctx.Done():
				left()
				return nil, mark, false, context.Cause(ctx)
			}
		}
		left()
		if len(refs) == 0 && wait > 0 {
			continue
		}
		for i, bytes := 0, 0; i < len(refs); i++ {
			if bytes += int(refs[i].size); bytes > cameBytes && i > 0 {
				return lines, mark, true, nil
			}
			mark.N++
			b, err := s.batch(refs[i])
			if isGone(err) {
				continue
			}
			if err != nil {
				return nil, mark, false, err
			}
			for l, err := range wire.LogLines(run, b.Lines) {
				if err != nil {
					return nil, mark, false, err
				}
				if f.Wants(l) {
					lines = append(lines, *l)
				}
			}
		}
		return lines, mark, false, nil
	}
}

// Mark returns where those begin that come from now on.
func (s *Store) Mark(run job.RunID) wire.LogMark {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := wire.LogMark{Life: s.life}
	if r := s.runs[run]; r != nil {
		m.N = r.gone + uint64(len(r.refs))
	}
	return m
}

// since returns the batches after mark, which it moves past those that were
// given up. If there are none and they are to be waited for, it returns a channel
// that is closed when something comes; left is to be called in any case.
func (s *Store) since(run job.RunID, mark *wire.LogMark, wait bool) (refs []ref, came <-chan struct{}, left func(), err error) {
	left = func() {}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, left, ErrClosed
	}
	if r := s.runs[run]; r != nil {
		mark.N = min(max(mark.N, r.gone), r.gone+uint64(len(r.refs)))
		refs = slices.Clone(r.refs[mark.N-r.gone:])
	} else {
		mark.N = 0
	}
	if len(refs) > 0 || !wait {
		return refs, nil, left, nil
	}
	w := s.watch[run]
	if w == nil {
		w = &watch{came: make(chan struct{})}
		s.watch[run] = w
	}
	w.waiting++
	return nil, w.came, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if w.waiting--; w.waiting == 0 && s.watch[run] == w {
			delete(s.watch, run)
		}
	}, nil
}

// cameLocked wakes those who wait for lines of the run that a record is of.
func (s *Store) cameLocked(payload []byte) {
	if len(s.watch) == 0 {
		return
	}
	b, err := wire.DecodeLogBatch(payload)
	if err != nil {
		return
	}
	if w := s.watch[b.Run]; w != nil {
		close(w.came)
		delete(s.watch, b.Run)
	}
}
