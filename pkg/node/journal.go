package node

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// entry is a journal entry with its number.
type entry struct {
	Seq uint64
	*wire.Entry
}

// maxEntry bounds a journal entry.
const maxEntry = 8 << 20

// journal yields the entries of the given kinds from a run's journal.
func (n *Node) journal(ctx context.Context, run job.RunID, kinds ...wire.EntryKind) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		fail := func(err error) { yield(entry{}, fmt.Errorf("node: journal of %s: %w", run, err)) }
		leader, err := n.leaderID(ctx)
		if err != nil {
			fail(err)
			return
		}
		req, err := codec.Marshal(wire.JournalRef{Run: run, Kinds: kinds})
		if err != nil {
			fail(err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		s, err := n.transport.Open(ctx, leader, wire.MethodJournal, req)
		if err != nil {
			fail(err)
			return
		}
		defer s.Close()
		for r := bufio.NewReader(s); ; {
			e, err := readEntry(r)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				fail(err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// readEntry reads a number, a length and an entry. At the end of the stream it
// returns io.EOF.
func readEntry(r *bufio.Reader) (entry, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return entry{}, err
	}
	size := binary.BigEndian.Uint32(head[8:])
	if size > maxEntry {
		return entry{}, fmt.Errorf("an entry of %d bytes is over the limit of %d", size, maxEntry)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return entry{}, fmt.Errorf("an entry is cut off: %v", err) //nolint:errorlint // an EOF here is no end
	}
	e, err := wire.DecodeEntry(b)
	return entry{binary.BigEndian.Uint64(head[:]), e}, err
}

// serveJournal streams journals to masters, workers and readers of results.
func (l *leader) serveJournal() {
	l.n.transport.HandleStream(wire.MethodJournal, func(ctx context.Context, _ string, req []byte, s transport.Stream) error {
		if err := l.n.awaitReady(ctx); err != nil {
			return err
		}
		var ref wire.JournalRef
		if err := codec.Unmarshal(req, &ref); err != nil {
			return err
		}
		w := bufio.NewWriter(s)
		for e, err := range l.state.Journal(ref.Run, 0) {
			switch {
			case err != nil:
				return err
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case !ref.Wants(e.Data):
				continue
			}
			var head [12]byte
			binary.BigEndian.PutUint64(head[:], e.Seq)
			binary.BigEndian.PutUint32(head[8:], uint32(len(e.Data)))
			if _, err := w.Write(head[:]); err != nil {
				return err
			}
			if _, err := w.Write(e.Data); err != nil {
				return err
			}
		}
		return w.Flush()
	})
}
