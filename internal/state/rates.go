package state

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// How often runs begin is decided by whoever leads. The state keeps what that
// was decided from, so that the next leader goes on with it.

const (
	// ratesTogether is how many windows one command has at most.
	ratesTogether = 256
	// maxWindow bounds what is remembered of one rate, and its name, in bytes.
	maxWindow = 16 << 10
)

func rateKey(of string) []byte {
	sum := sha256.Sum256([]byte(of))
	return named('T', hex.EncodeToString(sum[:16]))
}

func namespaceKey(name string) []byte { return named('S', name) }

// KeepRates records what is remembered of rates, in place of what was; a
// window of nothing removes it. It may be repeated.
func (s *State) KeepRates(ctx context.Context, windows []wire.RateWindow) error {
	for _, w := range windows {
		if len(w.Of)+len(w.Window) > maxWindow {
			return fmt.Errorf("%w: %d bytes of the rate of %.100q, the limit is %d", ErrInvalid, len(w.Of)+len(w.Window), w.Of, maxWindow)
		}
	}
	n := (len(windows) + ratesTogether - 1) / ratesTogether
	return s.steps(ctx, n, func(i int) wire.Command {
		return &wire.KeepRates{Windows: windows[i*ratesTogether : min((i+1)*ratesTogether, len(windows))]}
	})
}

func (tx *change) keepRates(c *wire.KeepRates) (result, error) {
	for _, w := range c.Windows {
		key := rateKey(w.Of)
		err := tx.batch.Delete(key)
		if len(w.Window) > 0 {
			err = tx.batch.Put(key, binary.AppendUvarint(nil, uint64(len(w.Of))), []byte(w.Of), w.Window)
		}
		if err != nil {
			return result{}, err
		}
	}
	return result{}, nil
}

// ratesSize is an upper bound of what windows take in a write.
func ratesSize(windows []wire.RateWindow) (n int) {
	for _, w := range windows {
		n += 2*perRecord + len(w.Of) + len(w.Window)
	}
	return n
}

// Rates returns what is remembered of rates.
func (s *State) Rates() ([]wire.RateWindow, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var all []wire.RateWindow
	for p, err := range v.Scan([]byte("T")) {
		if err != nil {
			return nil, err
		}
		n, k := binary.Uvarint(p.Value)
		if k <= 0 || n > uint64(len(p.Value)-k) {
			return nil, fmt.Errorf("state: record %q of a rate: %w", p.Key, store.ErrCorrupt)
		}
		of, window := p.Value[k:k+int(n)], p.Value[k+int(n):]
		all = append(all, wire.RateWindow{Of: string(of), Window: append([]byte(nil), window...)})
	}
	return all, nil
}

// PutNamespace records what is said of a namespace. One of which nothing is
// said is not kept. It may be repeated.
func (s *State) PutNamespace(ctx context.Context, n job.Namespace) error {
	if err := checkName("namespace", n.Name); err != nil {
		return err
	}
	c := &wire.PutNamespace{Name: n.Name}
	if len(n.Limits) > 0 {
		var err error
		if c.Record, err = encode(n); err != nil {
			return err
		}
		if len(c.Record) > maxWindow {
			return fmt.Errorf("%w: namespace %q takes %d bytes, the limit is %d", ErrInvalid, n.Name, len(c.Record), maxWindow)
		}
	}
	_, err := s.propose(ctx, c)
	return err
}

func (tx *change) putNamespace(c *wire.PutNamespace) (result, error) {
	if len(c.Record) == 0 {
		return result{}, tx.batch.Delete(namespaceKey(c.Name))
	}
	return result{}, tx.batch.Put(namespaceKey(c.Name), c.Record)
}

// Namespace returns what is said of a namespace, which may be nothing but its
// name.
func (s *State) Namespace(name string) (job.Namespace, error) {
	v, err := s.view()
	if err != nil {
		return job.Namespace{}, err
	}
	defer v.Close()
	b, err := v.Get(namespaceKey(name))
	if errors.Is(err, store.ErrNotFound) {
		return job.Namespace{Name: name}, nil
	}
	if err != nil {
		return job.Namespace{}, err
	}
	var n job.Namespace
	return n, wire.DecodeRecord(b, &n)
}

// Namespaces returns the namespaces of which something is said, in the order of
// their names.
func (s *State) Namespaces() ([]job.Namespace, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var all []job.Namespace
	for p, err := range v.Scan([]byte("S")) {
		if err != nil {
			return nil, err
		}
		var n job.Namespace
		if err := wire.DecodeRecord(p.Value, &n); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
