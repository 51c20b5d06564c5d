package state

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Lot is runs that are to be recorded together: Run, which names its Master, with
// each of Params. Its ID is that of the lot, and job.InLot has theirs.
type Lot struct {
	Run    job.Run
	Params []string
	Chunks [][]byte // what the journal of each begins with
}

// CreateLots records lots, and returns an error for each: nil for one without
// runs, of which there is nothing to record. ErrExists says that
// the lot, or a run of it, is there already, and ErrInvalid that these can't be
// one: they may be created by themselves then.
func (s *State) CreateLots(ctx context.Context, lots []Lot) []error {
	errs := make([]error, len(lots))
	var some []int
	for i := range lots {
		if len(lots[i].Params) > 0 {
			some = append(some, i)
		}
	}
	s.groups(ctx, len(some), func(k int) ([]wire.Command, error) {
		c, err := s.lotCreation(&lots[some[k]])
		if err != nil {
			return nil, err
		}
		return []wire.Command{c}, nil
	}, func(k int, _ []result, err error) { errs[some[k]] = err })
	return errs
}

func (s *State) lotCreation(l *Lot) (*wire.CreateLot, error) {
	if err := checkRun(&l.Run, l.Chunks); err != nil {
		return nil, err
	}
	c, err := s.creation(l.Run, l.Chunks)
	if err != nil {
		return nil, err
	}
	room := 0
	for _, text := range l.Params {
		room += aroundItem + len(text)
	}
	params := make([]byte, 0, room)
	for i, text := range l.Params {
		params = addItem(params, uint64(i), text)
	}
	switch {
	case !s.allKnow(2), !c.Keeps, c.Master == "", c.NotBefore != 0, c.Key != "", c.Of != "", c.Epoch != 0, len(params)+len(c.Record) > maxStep:
		return nil, fmt.Errorf("%w: the runs of %q can't be recorded together", ErrInvalid, l.Run.ID)
	}
	return &wire.CreateLot{
		Lot: c.Run, Runs: uint64(len(l.Params)), Master: c.Master, Called: c.Called, Namespace: c.Namespace, Job: c.Job, Priority: c.Priority,
		Created: c.Created, Line: c.Line, KeepFor: c.KeepFor, KeepRuns: c.KeepRuns, Tags: c.Tags,
		Record: c.Record, Params: params, Entries: l.Chunks,
	}, nil
}

// RunsOf returns the runs of a lot as they are when CreateLots has recorded it.
func RunsOf(l *Lot) []*job.Run {
	first := composed(l.Run, len(l.Chunks), &wire.RunStatus{Master: l.Run.Master, Epoch: 1, State: job.Running, Created: l.Run.Created.UnixNano()})
	const neighbours = 8 // one that lasts keeps no more than those
	runs, room := make([]*job.Run, len(l.Params)), []job.Run(nil)
	for i, text := range l.Params {
		if len(room) == 0 {
			room = make([]job.Run, min(neighbours, len(runs)-i))
		}
		runs[i], room = &room[0], room[1:]
		*runs[i] = first
		runs[i].ID, runs[i].Spec.Params = job.InLot(l.Run.ID, i), text
	}
	return runs
}

// aroundItem is what is around a short item of a list of a lot: its number, and its
// length.
const aroundItem = 4

// addItem is appendItem for who owns the list.
func addItem[T []byte | string](list []byte, n uint64, data T) []byte {
	list = binary.AppendUvarint(list, n)
	return append(binary.AppendUvarint(list, uint64(len(data))), data...)
}

// endsInLots records how runs of lots ended, and returns which of all are to be
// recorded by themselves.
func (s *State) endsInLots(ctx context.Context, all []Ending, errs []error) (alone []int) {
	type group struct {
		command *wire.EndInLot
		at      []int // in all
	}
	var groups []*group
	of := map[job.RunID][]*group{}
	var again wire.Again[job.Progress] // it is that of each, mostly
	for i := range all {
		e := &all[i]
		lot, _, ok := lotOf(e.Run)
		if !ok || !e.Plain || e.State != job.Succeeded || e.Reason != "" || len(e.Last) == 0 || len(e.Last) > shortBytes {
			alone = append(alone, i)
			continue
		}
		progress, err := again.EncodeRecord(&e.Progress)
		if err != nil {
			errs[i] = fmt.Errorf("%w: %w", ErrInvalid, err)
			continue
		}
		at := slices.IndexFunc(of[lot], func(g *group) bool {
			return g.command.Epoch == e.Epoch && g.command.First == e.First && bytes.Equal(g.command.Progress, progress)
		})
		if at < 0 {
			at = len(of[lot])
			g := &group{command: &wire.EndInLot{Lot: lot, Epoch: e.Epoch, At: s.now().UnixNano(), First: e.First, Progress: progress}}
			of[lot], groups = append(of[lot], g), append(groups, g)
		}
		of[lot][at].at = append(of[lot][at].at, i)
	}
	s.groups(ctx, len(groups), func(k int) ([]wire.Command, error) {
		g := groups[k]
		slices.SortFunc(g.at, func(a, b int) int { return cmp.Compare(all[a].Run, all[b].Run) })
		room := 0
		for _, i := range g.at {
			room += aroundItem + len(all[i].Last)
		}
		g.command.Last = make([]byte, 0, room)
		for _, i := range g.at {
			_, n, _ := lotOf(all[i].Run)
			g.command.Last = addItem(g.command.Last, n, all[i].Last)
		}
		return []wire.Command{g.command}, nil
	}, func(k int, results []result, err error) {
		for _, i := range groups[k].at {
			_, n, _ := lotOf(all[i].Run)
			switch {
			case errors.Is(err, ErrNoRun), err == nil && slices.Contains(results[0].leftOut, n):
				alone = append(alone, i)
			default:
				errs[i] = err
			}
		}
	})
	return alone
}

// forgetInLots forgets runs of lots, and returns which are to be forgotten by
// themselves, with the first error.
func (s *State) forgetInLots(ctx context.Context, ids []job.RunID) (alone []job.RunID, err error) {
	var lots []job.RunID
	of := map[job.RunID][]uint64{}
	for _, id := range ids {
		lot, i, ok := lotOf(id)
		if !ok {
			alone = append(alone, id)
			continue
		}
		if of[lot] == nil {
			lots = append(lots, lot)
		}
		of[lot] = append(of[lot], i)
	}
	s.groups(ctx, len(lots), func(k int) ([]wire.Command, error) {
		return []wire.Command{&wire.ForgetInLot{Lot: lots[k], Runs: of[lots[k]]}}, nil
	}, func(k int, results []result, failed error) {
		switch {
		case errors.Is(failed, ErrNoRun): // it is no lot
			for _, i := range of[lots[k]] {
				alone = append(alone, job.InLot(lots[k], int(i)))
			}
		case failed != nil:
			err = failed
		default:
			for _, i := range results[0].leftOut {
				alone = append(alone, job.InLot(lots[k], int(i)))
			}
			if results[0].left > 0 {
				if failed := s.Discard(ctx, lots[k]); failed != nil {
					err = failed
				}
			}
		}
	})
	return alone, err
}
