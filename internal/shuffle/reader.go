package shuffle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
)

// ReadConfig says what a Reader reads.
type ReadConfig struct {
	// Run and Partition name what is read.
	Run       job.RunID
	Partition int
	// Sources are the map outputs, by the nodes that hold them: one of each
	// map task.
	Sources []job.Source
	// Combine is the Combine of the Writers. Nil means none. It is applied
	// where it saves disk, and not to what Groups hands out last.
	Combine CombineFunc
}

// Reader reads one partition of the map outputs of a run. It is for one
// goroutine.
type Reader struct {
	s    *Shuffle
	run  *run
	cfg  ReadConfig
	acct *account
	ctx  context.Context // the Reader's life: Read's ctx, while the run is here
	stop context.CancelCauseFunc
	off  func() bool // ends the watch over the run

	segs  []*segment // in the order of their tasks and layers; those that are empty left out
	merge merger
	base  string // what the names of its files begin with
	files int    // how many there were
	spill *os.File
	end   int64 // of the spill file; guarded by mu

	fetched atomic.Int64
	stats   Stats // guarded by mu until Read returns
	err     error // guarded by mu until Read returns
	used    bool
	closed  bool

	mu    sync.Mutex
	lost  []job.MapOutputID // guarded by mu
	cause error             // guarded by mu
}

// Read fetches a partition of the map outputs that cfg names, and returns a
// Reader of its pairs, which the caller closes. What other nodes hold is
// brought here before Read returns; what of it finds no room in memory waits
// on disk. Ctx bounds the fetch and all of the reading.
//
// An error of Read says that cfg can't be read at all. What goes wrong with
// the reading is told by Err, after Groups has handed out less than all.
func (s *Shuffle) Read(ctx context.Context, cfg ReadConfig) (*Reader, error) {
	if cfg.Partition < 0 || cfg.Partition >= maxParts {
		return nil, fmt.Errorf("shuffle: partition %d of %s: want 0 to %d", cfg.Partition, cfg.Run, maxParts-1)
	}
	run, err := s.run(cfg.Run)
	if err != nil {
		return nil, err
	}
	all, local, remote, err := s.plan(cfg)
	if err != nil {
		return nil, err
	}
	r := &Reader{s: s, run: run, cfg: cfg, acct: s.budget.account()}
	r.base = run.dir + string(os.PathSeparator) + "r" + strconv.FormatInt(s.serial.Add(1), 10)
	r.ctx, r.stop = context.WithCancelCause(ctx)
	r.off = context.AfterFunc(run.ctx, func() { r.stop(context.Cause(run.ctx)) })
	r.merge = merger{acct: r.acct, alive: r.alive}

	var nodes []string
	for node := range remote {
		nodes = append(nodes, node)
	}
	slices.Sort(nodes)
	// Readers of different partitions begin with different nodes.
	nodes = slices.Concat(nodes[cfg.Partition%max(len(nodes), 1):], nodes[:cfg.Partition%max(len(nodes), 1)])
	var wg sync.WaitGroup
	wg.Go(func() { r.fetch(r.ctx, nodes, remote) })
	r.find(local)
	wg.Wait()

	for _, w := range all {
		r.segs = append(r.segs, w.segs...)
	}
	r.segs = slices.DeleteFunc(r.segs, func(seg *segment) bool { return seg.records == 0 })
	r.stats.FetchedBytes = r.fetched.Load()
	s.meter.Shuffled(ctx, telemetry.Fetched, r.stats.FetchedBytes)
	if err := r.alive(); err != nil {
		r.err = err
	} else if r.err == nil && len(r.lost) > 0 {
		r.err = s.lostError(cfg.Run, r.cause, r.lost)
	}
	return r, nil
}

// wanted is the partition of a map output that a Reader is to read.
type wanted struct {
	id   job.MapOutputID
	segs []*segment // one of each layer, once they were found
}

// plan lists what to read in the order of the map tasks, and says where it is.
func (s *Shuffle) plan(cfg ReadConfig) (all, local []*wanted, remote map[string][]*wanted, err error) {
	remote = make(map[string][]*wanted)
	for _, src := range cfg.Sources {
		for _, id := range src.Maps {
			w := &wanted{id: id}
			all = append(all, w)
			switch {
			case src.Node == s.node:
				local = append(local, w)
			case s.open == nil:
				return nil, nil, nil, fmt.Errorf("shuffle: map outputs of %s are on %q, and there is no transport to fetch them with", cfg.Run, src.Node)
			default:
				remote[src.Node] = append(remote[src.Node], w)
			}
		}
	}
	slices.SortFunc(all, func(a, b *wanted) int { return cmp.Compare(a.id.Task, b.id.Task) })
	for i := 1; i < len(all); i++ {
		if all[i].id.Task == all[i-1].id.Task {
			return nil, nil, nil, fmt.Errorf("shuffle: two map outputs of task m%d of %s are to be read: want one", all[i].id.Task, cfg.Run)
		}
	}
	return all, local, remote, nil
}

// find finds the segments that are on this node. The small ones it loads, if
// there is memory for them, so that they need not be open all at once.
func (r *Reader) find(all []*wanted) {
	for _, w := range all {
		if r.ctx.Err() != nil {
			return
		}
		if r.s.held(r.run.id, w.id) != r.run {
			r.lose(errors.New("this node does not hold it"), w)
			continue
		}
		if err := r.load(w); err != nil {
			if !isLost(err) {
				r.failed(err)
				return
			}
			r.s.damaged(r.run, w.id, err)
			r.lose(err, w)
		}
	}
}

// small is up to what size a segment on this node is loaded at once.
const small = 128 << 10

func (r *Reader) load(w *wanted) error {
	f, layers, err := openOutput(r.run, w.id, r.cfg.Partition)
	if err != nil {
		return err
	}
	defer f.Close()
	for i, e := range layers {
		seg := &segment{extent: e, part: r.cfg.Partition, run: r.run, id: w.id, layer: i}
		w.segs = append(w.segs, seg)
		if e.size == 0 || e.size > small || !r.acct.grow(e.size, 2) {
			continue
		}
		seg.mem = make([]byte, e.size)
		if err := readAt(f, seg.mem, e.off); err != nil {
			return err
		}
	}
	return nil
}

// lose notes that map outputs can't be read.
func (r *Reader) lose(why error, all ...*wanted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range all {
		r.lost = append(r.lost, w.id)
	}
	if r.cause == nil {
		r.cause = why
	}
}

// failed notes an error that is no map output's fault, and ends the fetch.
func (r *Reader) failed(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.stop(err)
}

func (s *Shuffle) lostError(run job.RunID, cause error, ids []job.MapOutputID) error {
	slices.SortFunc(ids, func(a, b job.MapOutputID) int { return cmp.Compare(a.Task, b.Task) })
	return &LostError{Run: run, Outputs: ids, Cause: cause}
}

// alive says whether reading may go on. It asks the run itself, since word of
// its end may come to ctx a little later.
func (r *Reader) alive() error {
	if err := r.run.err(); err != nil {
		return err
	}
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return nil
}

// reserve returns where in the spill file there is room for n bytes.
func (r *Reader) reserve(n int64) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spill == nil {
		f, err := r.createLocked()
		if err != nil {
			return 0, err
		}
		r.spill = f
	}
	at := r.end
	r.end += n
	return at, nil
}

// spilled counts n bytes that went to disk.
func (r *Reader) spilled(n int64) {
	r.mu.Lock()
	r.stats.Spills++
	r.stats.SpilledBytes += n
	r.mu.Unlock()
	r.s.meter.Shuffled(r.ctx, telemetry.Spilled, n)
}

// createLocked makes a file that Close removes.
func (r *Reader) createLocked() (*os.File, error) {
	if err := r.run.make(); err != nil {
		return nil, err
	}
	r.files++
	f, err := os.OpenFile(r.file(r.files), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("shuffle: %w", err)
	}
	return f, nil
}

func (r *Reader) file(n int) string { return r.base + ".t" + strconv.Itoa(n) }

// Err returns what went wrong since Read, or nil. A *LostError names map
// outputs that must be made again. It is complete when Groups has come to its
// end.
func (r *Reader) Err() error { return r.err }

// Stats returns what was done so far.
func (r *Reader) Stats() Stats { return r.stats }

// Close ends the reading and gives back memory and disk. Closing again does
// nothing.
func (r *Reader) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.off()
	r.stop(errors.New("shuffle: Reader closed"))
	r.merge.close()
	if r.spill != nil {
		r.spill.Close()
	}
	for i := range r.files {
		os.Remove(r.file(i + 1))
	}
	r.segs = nil
	r.acct.close()
}

// fail notes why the reading ended early.
func (r *Reader) fail(err error) {
	if e := r.alive(); e != nil {
		r.err = e
		return
	}
	var f *failure
	if errors.As(err, &f) && f.seg.run != nil && isLost(f.err) {
		r.s.damaged(r.run, f.seg.id, f.err)
		r.err = r.s.lostError(r.cfg.Run, f.err, []job.MapOutputID{f.seg.id})
		return
	}
	r.err = err
}
