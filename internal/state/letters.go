package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
)

// Whoever leads reads the letters of an inbox, page by page; those of a job that
// is gone are swept away.

// Mailed returns a channel that holds something if letters may have come since
// it was taken.
func (s *State) Mailed() <-chan struct{} { return s.fsm.mailed }

// Letter is a letter with its number in the inbox.
type Letter struct {
	wire.Letter
	Seq uint64
}

// Inbox returns at most limit letters of a job from one number on, and what its
// trigger remembers of those before.
func (s *State) Inbox(namespace, name string, from uint64, limit int) (letters []Letter, memory []byte, err error) {
	v, err := s.view()
	if err != nil {
		return nil, nil, err
	}
	defer v.Close()
	j := jobName{namespace, name}
	prefix := named('n', namespace, name)
	for p, err := range v.ScanFrom(prefix, letterKey(j, from)) {
		if err != nil {
			return nil, nil, err
		}
		l := Letter{Seq: seqOf(p.Key, len(prefix))}
		if err := wire.DecodeRecord(p.Value, &l.Letter); err != nil {
			return nil, nil, err
		}
		if letters = append(letters, l); len(letters) == limit {
			break
		}
	}
	memory, err = getParts(v, memoryKey(j))
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return letters, memory, err
}

// Letters returns letters of a job by their numbers, as far as they are there.
func (s *State) Letters(namespace, name string, seqs []uint64) ([]Letter, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var all []Letter
	for _, seq := range seqs {
		b, err := v.Get(letterKey(jobName{namespace, name}, seq))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		l := Letter{Seq: seq}
		if err == nil {
			err = wire.DecodeRecord(b, &l.Letter)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// Mail returns at most limit jobs that have letters to be read and are not
// paused.
func (s *State) Mail(limit int) ([]Wake, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var all []Wake
	for p, err := range v.Scan([]byte("M")) {
		if err != nil {
			return nil, err
		}
		names := splitNames(p.Key[1:])
		if len(names) != 2 {
			return nil, fmt.Errorf("state: record %q of mail: %w", p.Key, store.ErrCorrupt)
		}
		switch _, err := v.Get(pauseKey(names[0], names[1])); {
		case err == nil:
			continue
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
		if all = append(all, Wake{Namespace: names[0], Name: names[1]}); len(all) == limit {
			break
		}
	}
	return all, nil
}

// forsake leaves the letters of a job that is deleted, or that nobody listens for
// any more, to be swept. What its trigger remembers goes.
func (tx *change) forsake(j jobName) error {
	return errors.Join(tx.batch.Delete(mailKey(j)), tx.dropParts(memoryKey(j)))
}

// sweepPart is how many letters one command removes at most.
const sweepPart = 1000

// sweepLetters removes letters of jobs that were deleted.
func (s *State) sweepLetters(ctx context.Context) error {
	for from := []byte(nil); ; {
		page, err := s.page([]byte("o"), from)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, key := range page {
			names := splitNames(key[1:])
			if len(names) != 2 {
				return fmt.Errorf("state: record %q of an inbox: %w", key, store.ErrCorrupt)
			}
			for more := true; more && err == nil; {
				more, err = s.dropLetters(ctx, names[0], names[1])
			}
			if err != nil {
				return err
			}
		}
		from = append(page[len(page)-1], 0)
	}
}

// dropLetters removes letters that no job can read, and reports whether there
// may be more of them.
func (s *State) dropLetters(ctx context.Context, namespace, name string) (more bool, err error) {
	v, err := s.view()
	if err != nil {
		return false, err
	}
	js, err := readJobStatus(v, namespace, name)
	var seqs []uint64
	prefix := named('n', namespace, name)
	for p, scanErr := range v.Scan(prefix) {
		if err = errors.Join(err, scanErr); err != nil {
			break
		}
		seq := seqOf(p.Key, len(prefix))
		if len(seqs) == sweepPart || js != nil && !js.Deleted && seq >= js.From {
			break
		}
		seqs = append(seqs, seq)
	}
	v.Close()
	if err != nil || len(seqs) == 0 {
		return false, err
	}
	_, err = s.propose(ctx, &wire.DropLetters{Namespace: namespace, Name: name, Seqs: seqs})
	return len(seqs) == sweepPart, err
}

func (tx *change) dropLetters(c *wire.DropLetters) (result, error) {
	j := jobName{c.Namespace, c.Name}
	js, err := tx.job(c.Namespace, c.Name)
	if err != nil {
		return result{}, err
	}
	in, err := readInbox(tx.batch, j)
	if err != nil {
		return result{}, err
	}
	for _, seq := range c.Seqs {
		if js != nil && seq >= js.From {
			continue // the job was declared anew meanwhile
		}
		if err := tx.consume(j, &in, seq); err != nil {
			return result{}, err
		}
	}
	return result{}, tx.putInbox(j, in)
}
