package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
)

// Writes are gathered: while entries are on their way to the disk, the
// commands that arrive wait, and all go into the next entry. So one sync
// carries as many commands as there are writers, and a writer alone waits for
// nobody.
const (
	// An entry of the log has no more commands or bytes than that.
	entryCommands = 1024
	entryBytes    = wire.MaxCommand + 4
	// So many entries may be on their way at once.
	entriesInFlight = 3
)

// proposal is commands on their way, which go into one entry.
type proposal struct {
	reign    *reign
	commands []byte // as elements of an entry
	n        int
	version  byte          // the latest of them
	answer   chan []result // gets one value, with a result for each
}

// flight is an entry on its way.
type flight struct {
	future    raft.ApplyFuture
	proposals []*proposal
	began     telemetry.Stopwatch
}

// submit hands over commands to be recorded, in one entry. The answer is waited
// for with await. Without a reign there is nobody to hand them to: only the
// leader records.
func (s *State) submit(ctx context.Context, cs ...wire.Command) (*proposal, error) {
	b, version, err := s.encodeAll(cs)
	if err != nil {
		return nil, err
	}
	p := &proposal{commands: b, n: len(cs), version: version, answer: make(chan []result, 1)}
	return p, s.handOver(ctx, p)
}

// handOver gives p to who makes entries.
func (s *State) handOver(ctx context.Context, p *proposal) (err error) {
	if p.reign, err = s.leading(); err != nil {
		return err
	}
	if err := s.untilUnderstood(ctx, p.reign, p.version); err != nil {
		return err
	}
	select {
	case s.proposals <- p:
		return nil
	case <-p.reign.ctx.Done():
		return s.notLeader()
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("state: nothing was recorded: %w", context.Cause(ctx))
	}
}

// await returns what became of the command in p. An error that is not the
// command's refusal says that this is not known.
func (s *State) await(ctx context.Context, p *proposal) (result, error) {
	all, err := s.awaitAll(ctx, p)
	if err != nil {
		return result{}, err
	}
	return all[0], all[0].err
}

// awaitAll returns what became of each command in p. An error says that this is
// not known.
func (s *State) awaitAll(ctx context.Context, p *proposal) ([]result, error) {
	select {
	case all := <-p.answer:
		return all, nil
	case <-p.reign.stalled: // raft answers when the disk does
		return nil, fmt.Errorf("%w: %w", ErrUncertain, errStuck)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUncertain, context.Cause(ctx))
	}
}

func (s *State) propose(ctx context.Context, c wire.Command) (result, error) {
	p, err := s.submit(ctx, c)
	if err != nil {
		return result{}, err
	}
	return s.await(ctx, p)
}

// room refuses new work when the disk is nearly full, and everything when it
// is so full that the log itself is in danger.
func (s *State) room(c wire.Command) error {
	reserve := s.floor()
	switch c.(type) {
	case *wire.CreateRun, *wire.StageEntry, *wire.PutJob, *wire.FireJob, *wire.PutEvent:
		reserve = s.reserve
	}
	_, n := cost(c)
	return full(s.space.Room(int64(2*n), reserve))
}

// floor is what stays free even while work that was accepted is finished.
func (s *State) floor() int64 { return s.reserve / 5 * 2 }

// gather puts proposals into entries until the state closes.
func (s *State) gather() {
	defer close(s.flights)
	var first *proposal
	for {
		if first == nil {
			select {
			case first = <-s.proposals:
			case <-s.closing:
				return
			}
		}
		var batch []*proposal
		batch, first = s.waiting(first)
		began := s.metrics.Begin(s.link.ctx)
		s.flights <- flight{s.raft.Apply(entryFor(batch), 0), batch, began}
	}
}

// waiting returns the proposals that go into the next entry: first and those
// that wait already. Next is the one that was too large to go along, if any.
func (s *State) waiting(first *proposal) (batch []*proposal, next *proposal) {
	batch, n, size := []*proposal{first}, first.n, len(first.commands)
	for n < entryCommands {
		select {
		case p := <-s.proposals:
			n += p.n
			if size += len(p.commands); size > entryBytes || n > entryCommands {
				return batch, p
			}
			batch = append(batch, p)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// entryFor returns the entry that holds the commands of batch.
func entryFor(batch []*proposal) []byte {
	if len(batch) == 1 {
		return batch[0].commands
	}
	size := 0
	for _, p := range batch {
		size += len(p.commands)
	}
	entry := make([]byte, 0, size)
	for _, p := range batch {
		entry = append(entry, p.commands...)
	}
	return entry
}

// land answers the proposals of each entry when it was carried out.
func (s *State) land() {
	for f := range s.flights {
		results, err := landed(f)
		if err == nil {
			s.metrics.Committed(s.link.ctx, f.began, len(results))
		}
		for _, p := range f.proposals {
			if err != nil {
				p.answer <- failed(p.n, err)
				continue
			}
			p.answer <- results[:p.n:p.n]
			results = results[p.n:]
		}
	}
}

// failed is the results of n commands of which none was carried out, or it is
// not known.
func failed(n int, err error) []result {
	all := make([]result, n)
	for i := range all {
		all[i].err = err
	}
	return all
}

func landed(f flight) ([]result, error) {
	if err := f.future.Error(); err != nil {
		return nil, proposed(err)
	}
	n := 0
	for _, p := range f.proposals {
		n += p.n
	}
	switch r := f.future.Response().(type) {
	case []result:
		if len(r) != n {
			return nil, fmt.Errorf("%w: %d answers to %d commands", ErrBroken, len(r), n)
		}
		return r, nil
	case error:
		return nil, r
	default:
		return nil, errors.Join(ErrBroken, fmt.Errorf("state: answer of type %T", r))
	}
}
