package state

import (
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
)

// Packed is a Firing as it is kept until its time has come: a fraction of the
// memory, and most of what it takes to record it is done.
type Packed []byte

// Pack returns f as it is kept. Nothing is recorded.
func (s *State) Pack(f *Firing) (Packed, error) {
	c, err := s.settlement(f)
	if err != nil {
		return nil, err
	}
	b, err := wire.EncodeCommand(c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return b, nil
}

// Unpack returns the Firing that was packed. When its runs are created is to be
// said anew.
func (p Packed) Unpack() (f Firing, err error) {
	for one, err := range wire.Commands(p) {
		c, ok := one.(*wire.FireJob)
		if err == nil && (!ok || c.Hears) {
			err = fmt.Errorf("state: a fire that was packed as %T: %w", one, store.ErrCorrupt)
		}
		if err != nil {
			return f, err
		}
		f = Firing{
			Namespace: c.Namespace, Name: c.Name, Revision: c.Revision, Seq: c.Seq, Cursor: timeOf(c.Cursor), Wake: timeOf(c.Wake),
			Ended: c.Ended, Skipped: c.Skipped, Runs: make([]FiringRun, len(c.Runs)),
		}
		for i, run := range c.Runs {
			f.Runs[i].Chunks, f.Runs[i].command = run.Entries, run
			if err := wire.DecodeRecord(run.Record, &f.Runs[i].Run); err != nil {
				return f, err
			}
		}
	}
	return f, nil
}

// creation returns the command that creates a run of a fire. What was packed is
// the same but for who begins it, and when.
func (r *FiringRun) creation(s *State) (*wire.CreateRun, error) {
	if r.command == nil || len(r.Run.Trace) > 0 {
		if err := checkRun(&r.Run, r.Chunks); err != nil {
			return nil, err
		}
		c, err := s.creation(r.Run, r.Chunks)
		if err != nil {
			return nil, err
		}
		c.Fired = true
		return c, nil
	}
	c := r.command
	c.Master, c.Called, c.Created, c.NotBefore = r.Run.Master, s.called(r.Run.Master), r.Run.Created.UnixNano(), 0
	if r.Run.NotBefore.After(s.now()) {
		c.NotBefore = r.Run.NotBefore.UnixNano()
	}
	return c, nil
}
