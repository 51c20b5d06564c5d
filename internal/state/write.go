package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// The limits of what is recorded in one piece.
const (
	// MaxEntry is the largest entry of a journal in bytes.
	MaxEntry = 2816 << 10
	// maxStep is how many bytes of entries are recorded in one step; a larger
	// entry is a step of its own.
	maxStep = 1 << 20
	// maxRecord bounds a run or a declaration, encoded.
	maxRecord = 2 << 20
	// maxReason bounds why a run ended; the rest is cut off.
	maxReason = 16 << 10
	// maxProgress bounds the progress that a run ends with, encoded.
	maxProgress = 256 << 10
)

// Create records a run with its first journal entries, 0 to len(chunks)-1, and
// returns it. Up to about 1 MiB it is one step; more is staged first, and a
// run without chunks begins with what was staged for it, Plan.Chunks entries,
// or is refused with ErrConflict.
//
// A run that names its Master begins Running in the epoch after run.Epoch. One
// that does not is Pending under run.Epoch, which is zero but for a run that
// goes on from another: it waits for its time, if it has a NotBefore to come,
// or for a master.
//
// It may be repeated: a run that was created with the same content is returned
// as it is now, whatever became of it. ErrExists says that there is another
// run of that ID. If the run's Key is taken, nothing is created and the run
// that has the key is returned, which has another ID.
func (s *State) Create(ctx context.Context, run job.Run, chunks [][]byte) (job.Run, error) {
	return s.CreateWithin(ctx, Limits{}, run, chunks)
}

// CreateWithin is Create that refuses a run with ErrOverloaded if it would
// wait for a master where as many do as the limits allow. A run that waits for
// a time, and one that does not wait, is not counted.
func (s *State) CreateWithin(ctx context.Context, within Limits, run job.Run, chunks [][]byte) (job.Run, error) {
	if err := checkRun(&run, chunks); err != nil {
		return job.Run{}, err
	}
	c, err := s.creation(run, chunks)
	if err != nil {
		return job.Run{}, err
	}
	c.MaxQueued, c.MaxQueuedAll = uint64(max(within.Job, 0)), uint64(max(within.Cluster, 0))
	if len(c.Record)+stepSize(chunks) > maxStep {
		if err := s.stageAll(ctx, run.ID, chunks); err != nil {
			return job.Run{}, err
		}
		c.Entries = nil
	}
	r, err := s.propose(ctx, c)
	if errors.Is(err, ErrOverloaded) || err == nil && r.run != run.ID {
		// What was staged is of no use. If it stays, Sweep removes it.
		_ = s.Discard(ctx, run.ID)
	}
	if err != nil {
		return job.Run{}, err
	}
	return s.present(r.run, r.status)
}

func checkRun(run *job.Run, chunks [][]byte) error {
	if err := checkName("run", string(run.ID)); err != nil {
		return err
	}
	if err := checkEntries(chunks); err != nil {
		return err
	}
	if n := run.Plan.Chunks; n < 0 || n > 0 && len(chunks) > 0 && n != len(chunks) {
		return fmt.Errorf("%w: run %q: Plan.Chunks is %d, but there are %d", ErrInvalid, run.ID, n, len(chunks))
	}
	if run.KeyFor < 0 {
		return fmt.Errorf("%w: run %q: KeyFor is %v: want a positive duration, or 0 for while the run lives", ErrInvalid, run.ID, run.KeyFor)
	}
	switch {
	case run.Of == "" && run.Attempt <= 1 && run.Attempt >= 0:
	case run.Of != "" && run.Attempt > 1 && run.ID == job.Again(run.Of, run.Attempt):
		return checkName("run", string(run.Of))
	default:
		return fmt.Errorf("%w: run %q: it can't be attempt %d at run %q: the ID of attempt n is the first one's with #n", ErrInvalid, run.ID, run.Attempt, run.Of)
	}
	return nil
}

// creation returns the command that creates a run. Its record is what does not
// change of it, so that a second try has the same, whenever and wherever the
// run would begin then.
func (s *State) creation(run job.Run, chunks [][]byte) (*wire.CreateRun, error) {
	c := s.beginning(&run, chunks)
	run.Created, run.Finished, run.Master, run.Epoch = time.Time{}, time.Time{}, "", 0
	run.State, run.Reason, run.CancelReason = job.Pending, "", ""
	run.Progress, run.History = job.Progress{}, nil
	run.Fire, run.NotBefore = utc(run.Fire), utc(run.NotBefore)
	run.Attempt, run.Plan.Chunks = c.Attempt, int(c.Chunks)
	var err error
	c.Record, err = encode(&run)
	return c, err
}

// beginning returns the command that creates a run, without its record.
func (s *State) beginning(run *job.Run, chunks [][]byte) *wire.CreateRun {
	spec := run.Spec.WithDefaults()
	c := &wire.CreateRun{
		Run: run.ID, Master: run.Master, Called: s.called(run.Master), Chunks: uint64(cmp.Or(run.Plan.Chunks, len(chunks))), Entries: chunks,
		Namespace: spec.Namespace, Job: spec.Name, Priority: spec.Priority,
		Created: run.Created.UnixNano(), Key: hashed(run.Key), KeyFor: run.KeyFor,
		Epoch: run.Epoch, Of: run.Of, Attempt: run.Attempt, Due: nanos(run.Fire), Overlap: standsFor(run.OverlapKey), Line: LineOf(run),
		Tags: slices.Compact(slices.Sorted(slices.Values(spec.Tags))),
	}
	if s.allKnow(2) {
		c.Keeps, c.KeepFor, c.KeepRuns = true, spec.Retain.Age, spec.Retain.Runs
	}
	if run.Created.IsZero() {
		c.Created = s.now().UnixNano()
	}
	if run.NotBefore.After(s.now()) { // whatever the clock says of who created the run
		c.NotBefore = run.NotBefore.UnixNano()
	}
	if run.Of == "" {
		c.Attempt = 0 // as it is said by default
	}
	return c
}

// stageAll stages chunks with a few on their way at a time.
func (s *State) stageAll(ctx context.Context, id job.RunID, chunks [][]byte) error {
	return s.steps(ctx, len(chunks), func(i int) wire.Command {
		return &wire.StageEntry{Run: id, Seq: uint64(i), At: s.now().UnixNano(), Entry: chunks[i]}
	})
}

// steps proposes the n commands that step returns in order and waits for all.
func (s *State) steps(ctx context.Context, n int, step func(i int) wire.Command) error {
	var under []*proposal
	wait := func(most int) error {
		for len(under) > most {
			p := under[0]
			under = under[1:]
			if _, err := s.await(ctx, p); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range n {
		if err := wait(entriesInFlight); err != nil {
			return err
		}
		p, err := s.submit(ctx, step(i))
		if err != nil {
			if i > 0 {
				err = fmt.Errorf("%w, after %d of %d steps: %w", ErrUncertain, i, n, err)
			}
			return err
		}
		under = append(under, p)
	}
	return wait(0)
}

// Stage records one entry of a run that is going to be created, in order from
// 0. It may be repeated, even when the run was created meanwhile. ErrExists
// says that it was, without this entry, ErrConflict that the entry would leave
// a gap or that another one was staged there, for which there is Discard. What
// was staged for a run that was not created when the state is opened again, or
// an hour later, is removed.
func (s *State) Stage(ctx context.Context, id job.RunID, seq uint64, chunk []byte) error {
	if err := checkName("run", string(id)); err != nil {
		return err
	}
	if err := checkEntries([][]byte{chunk}); err != nil {
		return err
	}
	_, err := s.propose(ctx, &wire.StageEntry{Run: id, Seq: seq, At: s.now().UnixNano(), Entry: chunk})
	return err
}

// Discard removes what was staged for a run that was not created, or what is
// left of one that was forgotten. It may be repeated. ErrExists says that
// there is a run.
func (s *State) Discard(ctx context.Context, id job.RunID) error { return s.discard(ctx, id, 0) }

func (s *State) discard(ctx context.Context, id job.RunID, before int64) error {
	if err := checkName("run", string(id)); err != nil {
		return err
	}
	for {
		r, err := s.propose(ctx, &wire.DiscardStaged{Run: id, Limit: discardStep, Before: before})
		if err != nil || r.left == 0 {
			return err
		}
	}
}

// Assign gives a run whose epoch is the given one its next, under master, and
// returns it; why goes into its history. The master before can record nothing
// from then on. It may be repeated: if the run has the next epoch under that
// master already, nothing changes. ErrFenced says that the run has yet another
// epoch, ErrFinal that it has ended.
func (s *State) Assign(ctx context.Context, id job.RunID, epoch uint64, master, why string) (job.Run, error) {
	if err := checkName("master", master); err != nil {
		return job.Run{}, err
	}
	return s.change(ctx, id, &wire.AssignRun{Run: id, Master: master, Called: s.called(master), After: epoch, At: s.now().UnixNano(), Why: cut(why, maxWhat)})
}

// Append adds entries to a run's journal, the first as number first. What is
// there already under the same epoch with the same bytes is fine, so it may be
// repeated when its outcome is unknown. More than 1 MiB is recorded in several
// steps, in order, of which the last may be missing after an error. ErrFenced
// says that the run has another epoch, ErrConflict that there would be a gap
// or that something else is there, ErrFinal that the run has ended.
func (s *State) Append(ctx context.Context, id job.RunID, epoch, first uint64, entries [][]byte) error {
	if err := checkName("run", string(id)); err != nil {
		return err
	}
	if err := checkEntries(entries); err != nil {
		return err
	}
	var cuts []int // where each step ends
	for end := 0; end < len(entries); {
		end += stepLen(entries[end:])
		cuts = append(cuts, end)
	}
	return s.steps(ctx, len(cuts), func(i int) wire.Command {
		begin := 0
		if i > 0 {
			begin = cuts[i-1]
		}
		return &wire.AppendEntries{Run: id, Epoch: epoch, First: first + uint64(begin), Entries: entries[begin:cuts[i]]}
	})
}

// Finish records how a run ended; state must be final. If somebody asked for
// the run to end before, it ends as canceled whatever state says. It may be
// repeated. ErrFinal says that the run ended otherwise or was killed,
// ErrFenced that it has another epoch.
func (s *State) Finish(ctx context.Context, id job.RunID, epoch uint64, state job.State, reason string, p job.Progress) error {
	c, err := s.finishing(id, epoch, state, reason, p)
	if err != nil {
		return err
	}
	_, err = s.propose(ctx, c)
	return err
}

func (s *State) finishing(id job.RunID, epoch uint64, state job.State, reason string, p job.Progress) (*wire.FinishRun, error) {
	if err := checkName("run", string(id)); err != nil {
		return nil, err
	}
	if !state.Done() || state > job.Canceled {
		return nil, fmt.Errorf("%w: run %q: state %v is not one to end in", ErrInvalid, id, state)
	}
	progress, err := wire.EncodeRecord(p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(progress) > maxProgress {
		return nil, fmt.Errorf("%w: run %q: progress of %d bytes, the limit is %d", ErrInvalid, id, len(progress), maxProgress)
	}
	return &wire.FinishRun{
		Run: id, Epoch: epoch, State: state, Reason: cut(reason, maxReason), At: s.now().UnixNano(), Progress: progress,
	}, nil
}

// Cancel records that somebody asked for the run to end, and returns the run.
// Its master ends it. The first reason stays, so it may be repeated. A run
// that has ended is returned as it is.
func (s *State) Cancel(ctx context.Context, id job.RunID, reason string) (job.Run, error) {
	if reason == "" {
		reason = "canceled"
	}
	return s.change(ctx, id, &wire.CancelRun{Run: id, Reason: cut(reason, maxReason), At: s.now().UnixNano()})
}

// Kill ends a run as canceled at once, whether it has begun or not, and
// returns it. Its master can record nothing from then on. A run that has ended
// is returned as it is, so it may be repeated.
func (s *State) Kill(ctx context.Context, id job.RunID, reason string) (job.Run, error) {
	if reason == "" {
		reason = "killed"
	}
	return s.change(ctx, id, &wire.KillRun{Run: id, Reason: cut(reason, maxReason), At: s.now().UnixNano()})
}

const defaultNamespace = "default"

// change carries out c and returns the run as c left it.
func (s *State) change(ctx context.Context, id job.RunID, c wire.Command) (job.Run, error) {
	if err := checkName("run", string(id)); err != nil {
		return job.Run{}, err
	}
	r, err := s.propose(ctx, c)
	if err != nil {
		return job.Run{}, err
	}
	return s.present(id, r.status)
}

// present returns a run with the status that a command left it with.
func (s *State) present(id job.RunID, st *wire.RunStatus) (job.Run, error) {
	v, err := s.view()
	if err != nil {
		return job.Run{}, fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	defer v.Close()
	run, err := readRun(v, id, st)
	if errors.Is(err, store.ErrNotFound) {
		return job.Run{}, fmt.Errorf("%w: %q was forgotten meanwhile", ErrNoRun, id)
	}
	return run, err
}

func encode(v any) ([]byte, error) {
	b, err := wire.EncodeRecord(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(b) > maxRecord {
		return nil, fmt.Errorf("%w: %T of %d bytes, the limit is %d", ErrInvalid, v, len(b), maxRecord)
	}
	return b, nil
}

func checkEntries(entries [][]byte) error {
	for i, e := range entries {
		if len(e) > MaxEntry {
			return fmt.Errorf("%w: journal entry %d has %d bytes, the limit is %d", ErrInvalid, i, len(e), MaxEntry)
		}
	}
	return nil
}

func checkJob(namespace, name string) error {
	if err := checkName("namespace", namespace); err != nil {
		return err
	}
	return checkName("job", name)
}

// perEntry is what an entry is taken to cost beyond its bytes.
const perEntry = maxName + perRecord

func stepSize(entries [][]byte) int {
	n := 0
	for _, e := range entries {
		n += len(e) + perEntry
	}
	return n
}

// stepLen returns how many of entries are one step: at least one.
func stepLen(entries [][]byte) int {
	size := 0
	for i, e := range entries {
		if size += len(e) + perEntry; i > 0 && size > maxStep {
			return i
		}
	}
	return len(entries)
}

// cut returns text without what is beyond the limit, in valid UTF-8.
func cut(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
