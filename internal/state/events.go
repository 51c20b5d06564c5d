package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// An event is told once: the command that puts it into the inboxes of those that
// listen remembers it for a while.

// eventFor is how long it is remembered that there was an event.
const eventFor = time.Hour

func eventKey(namespace, name, id string) []byte { return named('E', namespace, name, id) }

func oldEventKey(namespace, name, id string, at int64) []byte {
	return timed([]byte{'F'}, at, namespace, name, id)
}

// Told is what became of an event.
type Told struct {
	// Jobs is how many jobs listen to it.
	Jobs int
	// Known says that it was told before.
	Known bool
}

// PutEvent tells the jobs that listen of an event. It may be repeated: within
// an hour an event of the same namespace, name and ID is the same. ErrOverloaded
// says that so much waits in the inbox of one of them that nothing was told to
// any.
func (s *State) PutEvent(ctx context.Context, e job.Event) (Told, error) {
	c := &wire.PutEvent{Namespace: e.Namespace, Name: e.Name, ID: e.ID, At: s.now().UnixNano(), Data: e.Data}
	if err := checkNames(c); err != nil {
		return Told{}, err
	}
	if len(e.Data) > job.MaxEventData {
		return Told{}, fmt.Errorf("%w: event %q has %d bytes of data, the limit is %d: put them where they can be fetched", ErrInvalid, e.Name, len(e.Data), job.MaxEventData)
	}
	r, err := s.propose(ctx, c)
	return r.told, err
}

func (tx *change) putEvent(c *wire.PutEvent) (result, error) {
	t := topic{c.Namespace, job.TopicEvent(c.Name)}
	listeners := tx.listeners(t)
	told := Told{Jobs: len(listeners)}
	switch _, err := tx.batch.Get(eventKey(c.Namespace, c.Name, c.ID)); {
	case err == nil:
		told.Known = true
		return result{told: told}, nil
	case !errors.Is(err, store.ErrNotFound):
		return result{}, err
	}
	b, err := wire.EncodeRecord(&wire.Letter{Kind: wire.LetterEvent, At: c.At, Name: c.Name, ID: c.ID, Data: c.Data})
	if err != nil {
		return result{}, err
	}
	if len(b)*len(listeners) > maxTold {
		return refuse(ErrInvalid, "event %q has %d bytes and %d jobs wait for it, which is %d together, over the limit of %d: put its data where they can be fetched",
			c.Name, len(b), len(listeners), len(b)*len(listeners), maxTold)
	}
	for _, j := range listeners {
		in, err := readInbox(tx.batch, j)
		if err != nil {
			return result{}, err
		}
		if in.letters >= maxLetters || in.bytes+uint64(len(b)) > maxLetterBytes {
			return refuse(ErrOverloaded, "%d events with %d bytes wait for job %s/%s", in.letters, in.bytes, j.namespace, j.name)
		}
	}
	for _, j := range listeners {
		if _, err := tx.post(j, b); err != nil {
			return result{}, err
		}
	}
	return result{told: told}, errors.Join(
		tx.batch.Put(eventKey(c.Namespace, c.Name, c.ID), binary.BigEndian.AppendUint64(nil, uint64(c.At))),
		tx.batch.Put(oldEventKey(c.Namespace, c.Name, c.ID, c.At), nil),
	)
}

func (tx *change) forgetEvent(c *wire.ForgetEvent) (result, error) {
	key := eventKey(c.Namespace, c.Name, c.ID)
	b, err := tx.batch.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return result{}, nil
	}
	if err == nil && len(b) != 8 {
		err = fmt.Errorf("state: record %q of an event: %w", key, store.ErrCorrupt)
	}
	if err != nil {
		return result{}, err
	}
	at := int64(binary.BigEndian.Uint64(b))
	if at >= c.Before {
		return result{}, nil
	}
	return result{}, errors.Join(tx.batch.Delete(key), tx.batch.Delete(oldEventKey(c.Namespace, c.Name, c.ID, at)))
}

// sweepEvents forgets events of long ago.
func (s *State) sweepEvents(ctx context.Context, before int64) error {
	for {
		page, err := s.page([]byte("F"), nil)
		if err != nil || len(page) == 0 {
			return err
		}
		var old []wire.Command
		for _, key := range page {
			if len(key) < 9 || disordered(key[1:]) >= before {
				break
			}
			names := splitNames(key[9:])
			if len(names) != 3 {
				return fmt.Errorf("state: record %q of an event: %w", key, store.ErrCorrupt)
			}
			old = append(old, &wire.ForgetEvent{Namespace: names[0], Name: names[1], ID: names[2], Before: before})
		}
		if err := s.steps(ctx, len(old), func(i int) wire.Command { return old[i] }); err != nil || len(old) < len(page) {
			return err
		}
	}
}
