package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

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

// proposal is a command on its way.
type proposal struct {
	reign   *reign
	command []byte      // as an element of an entry
	answer  chan result // gets one value
}

// flight is an entry on its way.
type flight struct {
	future    raft.ApplyFuture
	proposals []*proposal
}

// submit hands over c to be recorded. The answer is waited for with await.
// Without a reign there is nobody to hand it to: only the leader records.
func (s *State) submit(ctx context.Context, c wire.Command) (*proposal, error) {
	if err := s.room(c); err != nil {
		return nil, err
	}
	b, err := wire.EncodeCommand(c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	r, err := s.leading()
	if err != nil {
		return nil, err
	}
	if err := s.understood(r, wire.VersionOf(c)); err != nil {
		return nil, err
	}
	p := &proposal{reign: r, command: b, answer: make(chan result, 1)}
	select {
	case s.proposals <- p:
		return p, nil
	case <-r.ctx.Done():
		return nil, s.notLeader()
	case <-s.closing:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("state: nothing was recorded: %w", context.Cause(ctx))
	}
}

// await returns what became of p. An error that is not the command's refusal
// says that this is not known.
func (s *State) await(ctx context.Context, p *proposal) (result, error) {
	select {
	case r := <-p.answer:
		return r, r.err
	case <-p.reign.stalled: // raft answers when the disk does
		return result{}, fmt.Errorf("%w: %w", ErrUncertain, errStuck)
	case <-ctx.Done():
		return result{}, fmt.Errorf("%w: %w", ErrUncertain, context.Cause(ctx))
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
	case *wire.CreateRun, *wire.StageEntry, *wire.PutJob, *wire.FireJob:
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
		s.flights <- flight{s.raft.Apply(entryFor(batch), 0), batch}
	}
}

// waiting returns the proposals that go into the next entry: first and those
// that wait already. Next is the one that was too large to go along, if any.
func (s *State) waiting(first *proposal) (batch []*proposal, next *proposal) {
	batch, size := []*proposal{first}, len(first.command)
	for len(batch) < entryCommands {
		select {
		case p := <-s.proposals:
			if size += len(p.command); size > entryBytes {
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
		return batch[0].command
	}
	size := 0
	for _, p := range batch {
		size += len(p.command)
	}
	entry := make([]byte, 0, size)
	for _, p := range batch {
		entry = append(entry, p.command...)
	}
	return entry
}

// land answers the proposals of each entry when it was carried out.
func (s *State) land() {
	for f := range s.flights {
		results, err := landed(f)
		for i, p := range f.proposals {
			if err != nil {
				p.answer <- result{err: err}
			} else {
				p.answer <- results[i]
			}
		}
	}
}

func landed(f flight) ([]result, error) {
	if err := f.future.Error(); err != nil {
		return nil, proposed(err)
	}
	switch r := f.future.Response().(type) {
	case []result:
		if len(r) != len(f.proposals) {
			return nil, fmt.Errorf("%w: %d answers to %d commands", ErrBroken, len(r), len(f.proposals))
		}
		return r, nil
	case error:
		return nil, r
	default:
		return nil, errors.Join(ErrBroken, fmt.Errorf("state: answer of type %T", r))
	}
}
