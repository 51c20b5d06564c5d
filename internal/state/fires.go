package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// A fire becomes a run, or is recorded as skipped, in the one command that
// says that it is settled. Whether it meets a run that is not over is decided
// there too, where everybody sees the same runs.

// Firing settles the fires of a job up to Cursor.
type Firing struct {
	Namespace, Name string
	// Revision and Seq are those of the job that it was worked out from.
	Revision, Seq uint64
	Cursor, Wake  time.Time
	Ended         bool
	Runs          []FiringRun
	Skipped       []job.Skipped
	// Ahead is the instant that its one run begins at, of what is recorded before
	// it; see BeginAhead and MayFireAhead. Those of an instant that begin one after
	// another differ in nanoseconds. The run has a master. ErrStale says that
	// more than the job has a say in what becomes of it, or that the instant has
	// come, too.
	Ahead time.Time
	// Heard is what becomes of the letters in the job's inbox, or nil.
	Heard *Heard
}

// Heard settles letters.
type Heard struct {
	// Upto says that those with lower numbers were read.
	Upto uint64
	// Consumed are those that are not needed any more, by number.
	Consumed []uint64
	// Refused is how many were not counted, by why.
	Refused map[string]int
	// Memory is what the trigger remembers now.
	Memory []byte
}

// FiringRun is a run to be made, with the entries that its journal begins
// with.
type FiringRun struct {
	Run    job.Run
	Chunks [][]byte

	record []byte // of one that was packed: what is recorded of the run unless it is traced
}

// Fired is what a Firing came to.
type Fired struct {
	// Begun are the runs that it made and that have a master: those of the
	// Firing, as they have begun. It is empty where what was recorded already is
	// answered as done.
	Begun []*job.Run

	// Canceled are runs that were asked to end, and Killed those that were
	// ended.
	Canceled, Killed []job.RunID

	// Made is how many runs it made, and Overlapped how many fires make none
	// because of the policy for overlap.
	Made, Overlapped int

	begun []begunRun
}

// begunRun is a run that has begun, with its status.
type begunRun struct {
	id     job.RunID
	status *wire.RunStatus
}

// maxRecent is how many records of skipped fires are kept of a job.
const maxRecent = 20

// Fire settles fires. ErrStale says that the job was settled or changed
// meanwhile, ErrRevision that it is another revision, ErrNoJob that it is
// gone; nothing was recorded then. What was recorded already is answered as
// done, so it may be repeated.
func (s *State) Fire(ctx context.Context, f Firing) (Fired, error) {
	c, err := s.settlement(&f)
	if err != nil {
		return Fired{}, err
	}
	size := len(c.Memory)
	var staged []job.RunID
	for _, run := range c.Runs {
		n := stepSize(run.Entries)
		if n == 0 || size+n <= maxStep {
			size += n
			continue
		}
		if err := s.stageForFire(ctx, run.Run, run.Entries); err != nil {
			return Fired{}, err
		}
		run.Entries, staged = nil, append(staged, run.Run)
	}
	r, err := s.propose(ctx, c)
	if err == nil {
		for _, id := range staged { // one that was not made; if it stays, Sweep removes it
			if _, gone := s.Run(id); errors.Is(gone, ErrNoRun) {
				_ = s.Discard(ctx, id)
			}
		}
	}
	return f.came(r.fired), err
}

// FireAll is Fire for many settlements, of different jobs, each a matter of its
// own. What became of one is at its place in both.
func (s *State) FireAll(ctx context.Context, all []Firing) ([]Fired, []error) {
	fired, errs := make([]Fired, len(all)), make([]error, len(all))
	s.groups(ctx, len(all), func(i int) ([]wire.Command, error) {
		c, err := s.settlement(&all[i])
		if err != nil {
			return nil, err
		}
		size := len(c.Memory)
		for _, run := range c.Runs {
			size += stepSize(run.Entries)
		}
		if size > maxStep {
			return nil, errBig
		}
		return []wire.Command{c}, nil
	}, func(i int, results []result, err error) {
		switch {
		case errors.Is(err, errBig):
			fired[i], errs[i] = s.Fire(ctx, all[i])
		case err != nil:
			errs[i] = err
		default:
			fired[i] = all[i].came(results[0].fired)
		}
	})
	return fired, errs
}

// came returns what f came to, and makes its runs what they are since.
func (f *Firing) came(to *Fired) Fired {
	if to == nil {
		return Fired{}
	}
	to.Begun = make([]*job.Run, 0, len(to.begun))
	for _, b := range to.begun {
		i := slices.IndexFunc(f.Runs, func(k FiringRun) bool { return k.Run.ID == b.id })
		r := &f.Runs[i]
		r.Run, r.record = composed(r.Run, len(r.Chunks), b.status), nil
		to.Begun = append(to.Begun, &r.Run)
	}
	return *to
}

// settlement returns the command that settles fires in one step.
func (s *State) settlement(f *Firing) (*wire.FireJob, error) {
	if err := checkJob(f.Namespace, f.Name); err != nil {
		return nil, err
	}
	c := &wire.FireJob{
		Namespace: f.Namespace, Name: f.Name, Revision: f.Revision, Seq: f.Seq, Cursor: nanos(f.Cursor), Wake: nanos(f.Wake),
		Ended: f.Ended, At: s.now().UnixNano(), Skipped: f.Skipped, Runs: make([]*wire.CreateRun, 0, len(f.Runs)),
	}
	if h := f.Heard; h != nil {
		if len(h.Memory) > maxRemembered {
			return nil, fmt.Errorf("%w: the trigger of job %s/%s has to remember %d bytes, the limit is %d: use fewer or shorter keys",
				ErrInvalid, f.Namespace, f.Name, len(h.Memory), maxRemembered)
		}
		c.Hears, c.Heard, c.Consumed, c.Memory = true, h.Upto, h.Consumed, h.Memory
		for _, why := range slices.Sorted(maps.Keys(h.Refused)) {
			c.Refused = append(c.Refused, wire.CauseCount{Cause: why, N: h.Refused[why]})
		}
	}
	for i := range f.Runs {
		r := &f.Runs[i]
		if err := checkRun(&r.Run, r.Chunks); err != nil {
			return nil, err
		}
		run, err := s.fireCreation(r)
		if err != nil {
			return nil, err
		}
		if run.Fired = true; !f.Ahead.IsZero() {
			run.Ahead, run.Created = nanos(f.Ahead), instantOf(nanos(f.Ahead))
		}
		c.Runs = append(c.Runs, run)
	}
	return c, nil
}

// fireCreation is creation for a run of a fire, whose record may be made already.
func (s *State) fireCreation(r *FiringRun) (*wire.CreateRun, error) {
	if r.record == nil || len(r.Run.Trace) > 0 { // it was made before that
		return s.creation(r.Run, r.Chunks)
	}
	c := s.beginning(&r.Run, r.Chunks)
	c.Record = r.record
	return c, nil
}

// stageForFire stages what a run begins with, in place of what an earlier try
// staged if that was something else. One that was made already has it.
func (s *State) stageForFire(ctx context.Context, id job.RunID, chunks [][]byte) error {
	err := s.stageAll(ctx, id, chunks)
	if errors.Is(err, ErrConflict) {
		if err = s.Discard(ctx, id); err == nil {
			err = s.stageAll(ctx, id, chunks)
		}
	}
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func (tx *change) fire(c *wire.FireJob) (result, error) {
	js, err := tx.job(c.Namespace, c.Name)
	digest := c.Digest()
	switch {
	case err != nil:
		return result{}, err
	case js == nil:
		return refuse(ErrNoJob, "%s/%s", c.Namespace, c.Name)
	case js.Done == digest:
		return result{}, nil // an answer that was lost, and a second try
	case js.Revision != c.Revision:
		return refuse(ErrRevision, "%s/%s is at %d, not at %d", c.Namespace, c.Name, js.Revision, c.Revision)
	case js.Seq != c.Seq:
		return refuse(ErrStale, "%s/%s was settled %d times, not %d", c.Namespace, c.Name, js.Seq, c.Seq)
	case js.Ahead > tx.came, c.Ahead() != 0 && !tx.mayBeAhead(js, c):
		return refuse(ErrStale, "%s/%s can't be settled before %s", c.Namespace, c.Name, timeOf(max(js.Ahead, c.Ahead())).Format(time.RFC3339Nano))
	}
	stays(js)
	var fired Fired
	was, before, ends := *js, js.Runs, tx.ends(jobName{c.Namespace, c.Name})
	for _, run := range c.Runs {
		if err := tx.fireRun(js, run, c.At, &fired, &ends); err != nil {
			return result{}, err
		}
	}
	for _, k := range c.Skipped {
		js.Skip(k, maxRecent)
	}
	if c.Hears {
		if err := tx.hear(c, js); err != nil {
			return result{}, err
		}
	}
	js.Seq++
	js.Done = digest
	js.Cursor, js.Ended = max(js.Cursor, c.Cursor), c.Ended
	wake := c.Wake
	// It was worked out as if all runs were going to be made.
	missing := js.Runs-before < len(c.Runs)
	if c.Ended && missing || js.Again && !c.Hears && !c.Ended && len(c.Runs) > 0 && len(js.Active) == 0 {
		js.Ended, wake = false, max(c.At, 1)
	}
	fired.Made = js.Runs - before
	if c.Ahead() != 0 && fired.begun != nil {
		tx.isAhead(js, &was, fired.begun[0])
	}
	return result{fired: &fired}, tx.wakeAt(c.Namespace, c.Name, js, wake)
}

// mayBeAhead reports whether a fire may be recorded ahead of its instant, which has
// not come: nothing but that the job stays as it is has a say in what becomes of it.
func (tx *change) mayBeAhead(js *wire.JobStatus, c *wire.FireJob) bool {
	return c.Ahead() > tx.came && c.Runs[0].Master != "" && len(js.Active) == 0 && !js.Again && len(js.Listens) == 0 && !c.Hears && len(c.Skipped) == 0 && c.Runs[0].Key == "" && js.Wake != 0
}

// over notes that a run which a trigger made has ended.
func (tx *change) over(id job.RunID, st *wire.RunStatus) error {
	js, err := tx.anyJob(st.Namespace, st.Job)
	if err != nil || js == nil {
		return err
	}
	full := Room(st.Namespace, st.Job, js.Overlap, js.Limit, len(js.Active)) <= 0
	if !js.Over(id) {
		return nil
	}
	if id == js.Last {
		stays(js)
	}
	js.EndedAt = max(js.EndedAt, st.Finished)
	if js.Deleted && len(js.Active) == 0 {
		tx.jobs[jobName{st.Namespace, st.Job}] = nil
	}
	if !js.Again || js.PausedAt > js.ResumedAt {
		return nil
	}
	if len(js.Listens) > 0 && !full {
		return nil // nothing waits for this, and what somebody is about to settle still holds
	}
	js.Seq++ // what is due depends on it
	if len(js.Listens) == 0 {
		return tx.wakeAt(st.Namespace, st.Job, js, st.Finished)
	}
	if js.Wake != 0 { // there may have been no room for what waited for its time
		if err := tx.wakeAt(st.Namespace, st.Job, js, min(js.Wake, max(st.Finished, 1))); err != nil {
			return err
		}
	}
	return tx.reopen(jobName{st.Namespace, st.Job}, js)
}
