package state

import "github.com/musterhq/muster/internal/wire"

// Packed is a Firing as it is kept until its time has come: in a fraction of the
// memory, with the records of its runs made.
type Packed struct {
	rest Firing // without its runs
	runs []packedRun
}

type packedRun struct {
	record []byte
	chunks [][]byte
}

// Pack returns f as it is kept. Nothing is recorded.
func (s *State) Pack(f *Firing) (*Packed, error) {
	c, err := s.settlement(f)
	if err != nil {
		return nil, err
	}
	p := &Packed{*f, make([]packedRun, len(c.Runs))}
	p.rest.Runs = nil
	for i, run := range c.Runs {
		p.runs[i] = packedRun{run.Record, run.Entries}
	}
	return p, nil
}

// Size returns how many bytes p takes, about.
func (p *Packed) Size() int {
	const fields = 256
	n := fields + len(p.rest.Namespace) + len(p.rest.Name)
	for i := range p.runs {
		n += fields/2 + len(p.runs[i].record)
		for _, chunk := range p.runs[i].chunks {
			n += len(chunk)
		}
	}
	return n
}

// Unpack returns the Firing that was packed, by which runs are created when that
// is said.
func (p *Packed) Unpack() (Firing, error) {
	f := p.rest
	f.Runs = make([]FiringRun, len(p.runs))
	for i := range p.runs {
		r := &f.Runs[i]
		r.Chunks, r.record = p.runs[i].chunks, p.runs[i].record
		if err := wire.DecodeRecord(r.record, &r.Run); err != nil {
			return f, err
		}
	}
	return f, nil
}
