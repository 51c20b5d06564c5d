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
	"github.com/musterhq/muster/internal/state"
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

// journal yields the entries of the given kinds from the journal of a run, of
// which the caller knows what run says. When the leader goes away in the
// middle, it goes on where it was with the next one.
func (n *Node) journal(ctx context.Context, run *job.Run, kinds ...wire.EntryKind) iter.Seq2[entry, error] {
	return n.journalFrom(ctx, run, 0, false, kinds...)
}

// journalFrom is journal without the entries before a number, or of those before it
// from the last to the first.
func (n *Node) journalFrom(ctx context.Context, run *job.Run, from uint64, back bool, kinds ...wire.EntryKind) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		ref := wire.JournalRef{Run: run.ID, From: from, Back: back, Kinds: kinds, Epoch: run.Epoch, Done: run.State.Done()}
		over := false // the caller has had enough
		err := n.leaders.try(ctx, func(ctx context.Context, leader string) error {
			return n.readJournal(ctx, leader, &ref, func(e entry) bool {
				over = !yield(e, nil)
				return !over
			})
		})
		if err != nil && !over {
			yield(entry{}, fmt.Errorf("node: journal of %s: %w", run.ID, err))
		}
	}
}

// readJournal reads entries from a leader until there are no more or each has
// had enough. It keeps in ref how far it came.
func (n *Node) readJournal(ctx context.Context, leader string, ref *wire.JournalRef, each func(entry) bool) error {
	req, err := codec.Marshal(ref)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := n.transport.Open(ctx, leader, wire.MethodJournal, req)
	if err != nil {
		return err
	}
	defer s.Close()
	for r := bufio.NewReader(s); ; {
		e, err := readEntry(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if ref.From = e.Seq + 1; ref.Back {
			ref.From = e.Seq
		}
		if !each(e) {
			return nil
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
func (s *server) serveJournal() {
	s.n.transport.HandleStream(wire.MethodJournal, func(ctx context.Context, _ string, req []byte, out transport.Stream) error {
		if err := s.n.awaitReady(ctx); err != nil {
			return err
		}
		var ref wire.JournalRef
		if err := codec.Unmarshal(req, &ref); err != nil {
			return err
		}
		// A copy that knows that the run has ended has all of its journal,
		// whoever leads now. While it goes on there may be more elsewhere: a
		// reduce that took the copy of a leader of yesterday for all that there
		// is would leave out what is recorded since.
		if run, err := s.state.Run(ref.Run); err == nil && run.State.Done() {
			return s.sendJournal(ctx, &ref, out)
		}
		return s.state.Read(ctx, func() error {
			run, err := s.state.Run(ref.Run)
			switch {
			case err != nil:
				return err
			case run.Epoch < ref.Epoch || ref.Done && !run.State.Done():
				return state.ErrNotLeader
			}
			return s.sendJournal(ctx, &ref, out)
		})
	})
}

// sendJournal streams what this server has of a journal.
func (s *server) sendJournal(ctx context.Context, ref *wire.JournalRef, out io.Writer) error {
	w := bufio.NewWriter(out)
	entries := s.state.Journal(ref.Run, ref.From)
	if ref.Back {
		entries = s.state.JournalBack(ref.Run, ref.From)
	}
	for e, err := range entries {
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
}
