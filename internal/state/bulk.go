package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// What is asked of many runs at once is recorded in a few entries, each run as
// a matter of its own: what one is refused is recorded for the others. The
// commands are those that one run at a time would take.

const (
	// groupBytes is how many bytes of commands are proposed together, about.
	groupBytes = 1 << 20
	// groupCommands is how many are.
	groupCommands = entryCommands / 2
)

// errBig keeps a matter out of a group that has to be staged.
var errBig = errors.New("state: it takes more than one step")

// groups proposes the commands of n matters, those of one always in the same
// entry, with a few entries on their way at a time, and calls done with what
// became of each matter, in order.
func (s *State) groups(ctx context.Context, n int, commands func(i int) ([]wire.Command, error), done func(i int, results []result, err error)) {
	type part struct {
		i int // the matter
		n int // commands
	}
	type group struct {
		proposal *proposal
		parts    []part
	}
	var under []group
	land := func(most int) {
		for len(under) > most {
			g := under[0]
			under = under[1:]
			all, err := s.awaitAll(ctx, g.proposal)
			if err != nil {
				all = failed(g.proposal.n, err)
			}
			for _, p := range g.parts {
				done(p.i, all[:p.n], firstError(all[:p.n]))
				all = all[p.n:]
			}
		}
	}
	next := group{proposal: &proposal{answer: make(chan []result, 1)}}
	send := func() {
		if len(next.parts) == 0 {
			return
		}
		land(entriesInFlight - 1)
		g := next
		next = group{proposal: &proposal{answer: make(chan []result, 1)}}
		if err := s.handOver(ctx, g.proposal); err != nil {
			land(0)
			for _, p := range g.parts {
				done(p.i, nil, err)
			}
			return
		}
		under = append(under, g)
	}
	for i := range n {
		cs, err := commands(i)
		var b []byte
		var version byte
		if err == nil {
			b, version, err = s.encodeAll(cs)
		}
		if err != nil {
			send()
			land(0)
			done(i, nil, err)
			continue
		}
		if p := next.proposal; p.n > 0 && (len(p.commands)+len(b) > groupBytes || p.n+len(cs) > groupCommands) {
			send()
		}
		if next.proposal.commands == nil { // as if the others were as large
			next.proposal.commands = make([]byte, 0, min(groupBytes, (len(b)+len(b)/8)*min(n-i, groupCommands)))
		}
		next.proposal.commands = append(next.proposal.commands, b...)
		next.proposal.n += len(cs)
		next.proposal.version = max(next.proposal.version, version)
		next.parts = append(next.parts, part{i, len(cs)})
	}
	send()
	land(0)
}

func (s *State) encodeAll(cs []wire.Command) (all []byte, version byte, err error) {
	for _, c := range cs {
		if err := s.room(c); err != nil {
			return nil, 0, err
		}
		b, err := wire.EncodeCommand(c)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if version = max(version, wire.VersionOf(c)); all == nil {
			all = b
			continue
		}
		all = append(all, b...)
	}
	return all, version, nil
}

func firstError(all []result) error {
	for i := range all {
		if all[i].err != nil {
			return all[i].err
		}
	}
	return nil
}

// Creation is a run that is to be recorded; see CreateWithin.
type Creation struct {
	Within Limits
	Run    job.Run
	Chunks [][]byte
}

// Created is what became of a Creation.
type Created struct {
	Run job.Run
	Err error
}

// CreateAll is CreateWithin for many runs. Those that are no repetition come
// back as they were given, with what the state added.
func (s *State) CreateAll(ctx context.Context, all []Creation) []Created {
	made := make([]Created, len(all))
	s.groups(ctx, len(all), func(i int) ([]wire.Command, error) {
		k := &all[i]
		if err := checkRun(&k.Run, k.Chunks); err != nil {
			return nil, err
		}
		c, err := s.creation(k.Run, k.Chunks)
		if err != nil {
			return nil, err
		}
		if len(c.Record)+stepSize(k.Chunks) > maxStep {
			return nil, errBig
		}
		c.MaxQueued, c.MaxQueuedAll = uint64(max(k.Within.Job, 0)), uint64(max(k.Within.Cluster, 0))
		return []wire.Command{c}, nil
	}, func(i int, results []result, err error) {
		k := &all[i]
		switch {
		case errors.Is(err, errBig):
			made[i].Run, made[i].Err = s.CreateWithin(ctx, k.Within, k.Run, k.Chunks)
		case err != nil:
			made[i].Err = err
		case results[0].run != k.Run.ID || results[0].status.State.Done():
			made[i].Run, made[i].Err = s.present(results[0].run, results[0].status)
		default:
			made[i].Run = composed(k.Run, len(k.Chunks), results[0].status)
		}
	})
	return made
}

// composed is what composeRun makes of a run that has just been created.
func composed(run job.Run, chunks int, st *wire.RunStatus) job.Run {
	if run.Plan.Chunks == 0 {
		run.Plan.Chunks = chunks
	}
	run.Master, run.Epoch, run.State = st.Master, st.Epoch, st.State
	run.Reason, run.CancelReason = st.Reason, st.Cancel
	run.Created, run.Fire, run.NotBefore = timeOf(st.Created), utc(run.Fire), utc(run.NotBefore)
	run.Attempt = max(run.Attempt, 1)
	return run
}

// Assignment gives a run its next master; see Assign.
type Assignment struct {
	Run         job.RunID
	After       uint64 // the epoch that it is in
	Master, Why string
}

// AssignAll is Assign for many runs. It returns an error for each.
func (s *State) AssignAll(ctx context.Context, all []Assignment) []error {
	errs, at := make([]error, len(all)), s.now().UnixNano()
	s.groups(ctx, len(all), func(i int) ([]wire.Command, error) {
		a := &all[i]
		return []wire.Command{&wire.AssignRun{Run: a.Run, Master: a.Master, Called: s.called(a.Master), After: a.After, At: at, Why: cut(a.Why, maxWhat)}},
			errors.Join(checkName("run", string(a.Run)), checkName("master", a.Master))
	}, func(i int, _ []result, err error) { errs[i] = err })
	return errs
}

// Ending is how a run ends, with the last entry of its journal if it has one;
// see Append and Finish.
type Ending struct {
	Run      job.RunID
	Epoch    uint64
	State    job.State
	Reason   string
	Progress job.Progress
	// First is the number of Last, unless that is nil.
	First uint64
	Last  []byte
	// Plain says that the run had a single task, whose outcome is Last, and that
	// nobody is going to rewrite its journal; see Compacted.
	Plain bool
}

// FinishAll is Append, and then Finish and Compacted, for many runs, each in one
// step. It returns an error for each, nil for one that has ended so. One whose
// last entry is refused does not end. It may be repeated.
func (s *State) FinishAll(ctx context.Context, all []Ending) []error {
	if !s.allKnow(2) {
		return s.finishInSteps(ctx, all)
	}
	errs := make([]error, len(all))
	alone := s.endsInLots(ctx, all, errs)
	s.groups(ctx, len(alone), func(i int) ([]wire.Command, error) {
		e := &all[alone[i]]
		f, err := s.finishing(e.Run, e.Epoch, e.State, e.Reason, e.Progress)
		if err == nil && e.Last != nil {
			f.First, f.Last, err = e.First, e.Last, checkEntries([][]byte{e.Last})
		}
		if err != nil {
			return nil, err
		}
		f.Plain = e.Plain
		return []wire.Command{f}, nil
	}, func(i int, _ []result, err error) { errs[alone[i]] = err })
	return errs
}

// finishInSteps is FinishAll by what every server knows. That takes two steps,
// because commands that share an entry of the log do not depend on each other: a
// run would end without its outcome where another entry is in the place of that.
func (s *State) finishInSteps(ctx context.Context, all []Ending) []error {
	errs := make([]error, len(all))
	var last []int // those with an entry
	for i := range all {
		if all[i].Last != nil {
			last = append(last, i)
		}
	}
	s.groups(ctx, len(last), func(i int) ([]wire.Command, error) {
		e := &all[last[i]]
		return []wire.Command{&wire.AppendEntries{Run: e.Run, Epoch: e.Epoch, First: e.First, Entries: [][]byte{e.Last}}},
			errors.Join(checkName("run", string(e.Run)), checkEntries([][]byte{e.Last}))
	}, func(i int, _ []result, err error) { errs[last[i]] = err })
	var ends []int // those that may
	for i := range all {
		if errs[i] == nil {
			ends = append(ends, i)
		}
	}
	s.groups(ctx, len(ends), func(i int) ([]wire.Command, error) {
		e := &all[ends[i]]
		f, err := s.finishing(e.Run, e.Epoch, e.State, e.Reason, e.Progress)
		if err != nil {
			return nil, err
		}
		cs := []wire.Command{f}
		if e.Plain {
			cs = append(cs, &wire.CompactedRun{Run: e.Run})
		}
		return cs, nil
	}, func(i int, _ []result, err error) { errs[ends[i]] = err })
	return errs
}

// ForgetAll is Forget for many runs. It returns the first error, after which
// others may have been forgotten all the same.
func (s *State) ForgetAll(ctx context.Context, ids []job.RunID) error {
	alone, first := s.forgetInLots(ctx, ids)
	failed, all := 0, len(ids)
	if first != nil {
		failed++
	}
	ids = alone
	at, known := s.now().UnixNano(), s.allKnow(2)
	s.groups(ctx, len(ids), func(i int) ([]wire.Command, error) {
		if err := checkName("run", string(ids[i])); err != nil {
			return nil, err
		}
		// The journal of a small run goes in the same step.
		if known {
			return []wire.Command{&wire.ForgetRun{Run: ids[i], At: at, Limit: discardStep}}, nil
		}
		return []wire.Command{&wire.ForgetRun{Run: ids[i], At: at}, &wire.DiscardStaged{Run: ids[i], Limit: discardStep}}, nil
	}, func(i int, results []result, err error) {
		if err == nil && results[len(results)-1].left > 0 {
			err = s.Discard(ctx, ids[i])
		}
		if err != nil {
			first = cmp.Or(first, err) // the others fail for the same reason, mostly
			failed++
		}
	})
	if first != nil {
		return fmt.Errorf("%d of %d runs are not forgotten yet: %w", failed, all, first)
	}
	return nil
}
