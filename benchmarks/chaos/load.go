//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/benchmarks/chaos/work"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// load is what is asked of the cluster, and what comes of it.
type load struct {
	c    *cluster
	text *work.Text

	mu       sync.Mutex
	last     int              // number of the last submission; guarded by mu
	going    int              // runs that are submitted and not over; guarded by mu
	asked    []*submission    // guarded by mu
	progress []verdict.Sample // guarded by mu
	writes   []verdict.Write  // guarded by mu
	wg       sync.WaitGroup   // what is submitted and not over
}

// submission is a run that was submitted.
type submission struct {
	verdict.Run
	work work.Work
	read []verdict.Item // what it returned when it was first over
}

const (
	keyFor        = time.Hour // for which a submission makes one run, however often it is made
	submitTimeout = 5 * time.Second
	lookTimeout   = time.Second
	lookEvery     = 150 * time.Millisecond
	probeEvery    = 100 * time.Millisecond
	probeTimeout  = 2 * time.Second
	mostGoing     = 12 // runs at a time
)

func newLoad(c *cluster, rng *rand.Rand) (l *load, err error) {
	l = &load{c: c}
	l.text, err = work.NewText(c.texts(), rng)
	return l, err
}

// run submits runs of all kinds until ctx ends, and returns when none of them
// goes on or patience ends.
func (l *load) run(ctx, patience context.Context, rng *rand.Rand) {
	for rest(ctx, time.Duration(200+rng.IntN(900))*time.Millisecond) {
		if l.count() < mostGoing {
			l.begin(ctx, patience, l.draw(rng))
		}
	}
	l.wg.Wait()
}

// draw chooses what to submit next.
func (l *load) draw(rng *rand.Rand) work.Work {
	ms := func(least, most int) time.Duration {
		return time.Duration(least+rng.IntN(most-least)) * time.Millisecond
	}
	switch n := rng.IntN(100); {
	case n < 30:
		return work.Fan(0, 20+rng.IntN(200), ms(5, 100), 0)
	case n < 45: // long enough to be met by more than one fault
		return work.Fan(0, 20+rng.IntN(50), ms(600, 1500), 0)
	case n < 55:
		return work.Fan(0, 50+rng.IntN(100), ms(10, 60), 7)
	case n < 65:
		return work.Fan(3+rng.IntN(10), 5+rng.IntN(20), ms(10, 100), 0)
	case n < 73:
		return work.Squares(10+rng.IntN(60), ms(10, 200), false)
	case n < 78:
		return work.Squares(8+rng.IntN(16), ms(10, 300), true)
	case n < 85:
		return work.Everywhere(ms(50, 400))
	default:
		return l.text.Count(1+rng.IntN(6), ms(20, 400))
	}
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.going
}

// add makes a submission of what is to be done.
func (l *load) add(w work.Work) *submission {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	s := &submission{work: w, Run: verdict.Run{
		Kind: w.Kind, Key: fmt.Sprintf("%s-%d", w.Kind, l.last), Want: w.Want, Tasks: w.Tasks, Noted: w.Noted, Keyed: w.Keyed,
		Submitted: now(),
	}}
	l.asked = append(l.asked, s)
	return s
}

// now is the wall clock's time, as the ledgers have it.
func now() time.Time { return time.Now().Round(0) }

// submit submits s once.
func (l *load) submit(ctx context.Context, n *node.Node, s *submission) (*node.Run, error) {
	spec := s.work.Spec
	spec.Retain = job.Retention{Age: -1, Runs: -1}
	r, err := n.Submit(ctx, spec, func(r *job.Run) { r.Key, r.KeyFor = s.Key, keyFor })
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.ID, s.Accepted = r.ID(), now()
	return r, nil
}

// begin submits a run and follows it, as long as patience lasts. While ctx
// lasts it submits it again if it does not know whether it was accepted.
func (l *load) begin(ctx, patience context.Context, w work.Work) *submission {
	s := l.add(w)
	l.mu.Lock()
	l.going++
	l.mu.Unlock()
	l.wg.Go(func() {
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.going--
		}()
		for {
			once, cancel := context.WithTimeout(patience, submitTimeout)
			r, err := l.submit(once, l.c.client, s)
			cancel()
			if err == nil {
				l.follow(patience, r, s)
				return
			}
			if !rest(ctx, 300*time.Millisecond) {
				return
			}
		}
	})
	return s
}

// follow looks at a run again and again until it is over, and reads what it
// returned.
func (l *load) follow(ctx context.Context, r *node.Run, s *submission) {
	defer l.c.over(r.ID())
	for rest(ctx, lookEvery) {
		run, err := l.look(ctx, r)
		if err != nil || !run.State.Done() {
			continue
		}
		l.mu.Lock()
		s.Seen = &run
		l.mu.Unlock()
		if run.State != job.Succeeded {
			return
		}
		// It is read here and at the end: what it returned stays as it is.
		for {
			if got, err := l.readOnce(ctx, r, s); err == nil {
				l.mu.Lock()
				s.read = got.Items
				l.mu.Unlock()
				return
			}
			if !rest(ctx, lookEvery) {
				return
			}
		}
	}
}

// look asks where the run stands and takes note of the answer.
func (l *load) look(ctx context.Context, r *node.Run) (job.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	run, err := r.Get(ctx)
	if err != nil {
		return run, err
	}
	l.c.heard(&run)
	p := run.Progress
	if !run.State.Done() {
		if p, err = r.Progress(ctx); err != nil {
			return run, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress = append(l.progress, verdict.Sample{At: now(), Run: run.ID, Epoch: run.Epoch, Done: p.Done, Over: run.State.Done()})
	return run, nil
}

const readTimeout = 20 * time.Second

func (l *load) readOnce(ctx context.Context, r *node.Run, s *submission) (got work.Got, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	out, err := r.Wait(ctx)
	if err != nil {
		return got, err
	}
	return s.work.Read(ctx, out)
}

// probe submits the smallest run there is, ten times a second until ctx ends,
// to learn when that is accepted and when not.
func (l *load) probe(ctx, patience context.Context) {
	var wg sync.WaitGroup
	for rest(ctx, probeEvery) {
		wg.Go(func() { l.write(patience, l.c.client, probeTimeout) })
	}
	wg.Wait()
}

// write submits one small run once.
func (l *load) write(ctx context.Context, n *node.Node, timeout time.Duration) verdict.Write {
	s := l.add(work.Echo("a probe"))
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	w := verdict.Write{Began: s.Submitted}
	_, err := l.submit(ctx, n, s)
	if w.Ended = now(); err != nil {
		w.Err = err.Error()
	}
	if n == l.c.client {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.writes = append(l.writes, w)
	}
	return w
}

// lots submits many of the smallest runs at once, again and again until ctx ends.
// They have no keys: it is their Params that tell them apart.
func (l *load) lots(ctx, patience context.Context, rng *rand.Rand) {
	for rest(ctx, time.Duration(200+rng.IntN(1000))*time.Millisecond) {
		l.wg.Go(func() { l.lot(patience, 2+rng.IntN(60)) })
	}
}

// lot submits n of the smallest runs at once, and follows one of them.
func (l *load) lot(ctx context.Context, n int) {
	all, specs := make([]*submission, n), make([]job.Spec, n)
	for i := range all {
		s := l.add(work.Echo(""))
		s.work = work.Echo(s.Key)
		s.Want, specs[i] = s.work.Want, s.work.Spec
		specs[i].Retain = job.Retention{Age: -1, Runs: -1}
		all[i] = s
	}
	once, cancel := context.WithTimeout(ctx, submitTimeout)
	runs, _ := l.c.client.SubmitAll(once, specs) // what was accepted is among those that it returns
	cancel()
	l.mu.Lock()
	for i, r := range runs {
		if r != nil {
			all[i].ID, all[i].Accepted = r.ID(), now()
		}
	}
	l.mu.Unlock()
	if len(runs) > 0 && runs[0] != nil {
		l.follow(ctx, runs[0], all[0])
	}
}

// probeCut submits from the side that is cut off, until ctx ends, and takes
// note of what is known by then.
func (l *load) probeCut(ctx, patience context.Context) {
	for rest(ctx, 3*probeEvery) {
		l.wg.Go(func() {
			w := l.write(patience, l.c.outcast, probeTimeout)
			if w.Cut = true; ctx.Err() != nil {
				return // others may have heard of it
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.writes = append(l.writes, w)
		})
	}
}
