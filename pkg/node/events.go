package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Sent is what became of an event.
type Sent struct {
	// ID is the event's.
	ID string
	// Jobs is how many jobs listen to it. None is no error: nobody may have
	// wanted to know yet.
	Jobs int
	// Known says that the event had been sent before, within the last hour.
	// Nothing was told again, and Jobs is how many listen now.
	Known bool
}

// Send tells the cluster of an event. When it returns without an error the
// event is durable, and what it makes jobs due for happens, whatever becomes of
// any node. Sent again with the same ID it changes nothing, so what has failed
// may be repeated. ErrOverloaded says that too much waits for one of the jobs
// that listen; nothing was told to any then.
func (n *Node) Send(ctx context.Context, e job.Event) (Sent, error) {
	e.Namespace, e.ID = cmp.Or(e.Namespace, "default"), cmp.Or(e.ID, rand.Text())
	if err := checkEvent(&e); err != nil {
		return Sent{}, err
	}
	told, err := lead[wire.Told](ctx, n, wire.MethodSend, e)
	switch {
	case is(err, state.ErrOverloaded):
		return Sent{}, fmt.Errorf("%w: event %s: %w: send it again later", ErrOverloaded, e.Name, plain(err))
	case err != nil:
		return Sent{}, fmt.Errorf("node: event %s: %w", e.Name, plain(err))
	}
	return Sent{ID: e.ID, Jobs: told.Jobs, Known: told.Known}, nil
}

func checkEvent(e *job.Event) error {
	switch {
	case e.Name == "" || len(e.Name) > job.MaxEventName || strings.ContainsAny(e.Name, " \t\r\n,()\"'"):
		return fmt.Errorf("node: event Name %q: want 1 to %d characters, without spaces, commas, brackets and quotes", e.Name, job.MaxEventName)
	case len(e.ID) > job.MaxEventName || strings.ContainsFunc(e.ID, func(r rune) bool { return r < ' ' }):
		return fmt.Errorf("node: event %s: ID %q: want at most %d bytes, without control characters", e.Name, e.ID, job.MaxEventName)
	case len(e.Data) > job.MaxEventData:
		return fmt.Errorf("node: event %s: Data has %d bytes, over the limit of %d: put what is large where it can be fetched", e.Name, len(e.Data), job.MaxEventData)
	case len(e.Data) > 0 && !json.Valid(e.Data):
		return fmt.Errorf("node: event %s: Data is no JSON: want an object, as in {\"amount\": 5}", e.Name)
	}
	return nil
}

// send records an event.
func (l *leader) send(ctx context.Context, e job.Event) (wire.Told, error) {
	told, err := l.state.PutEvent(ctx, e)
	return wire.Told(told), err
}
