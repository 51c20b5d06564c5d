package node

import (
	"context"
	"log/slog"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
)

// maxNotes is how many notes may wait for the leader. More are let go: the run
// does not wait for its history.
const maxNotes = 64

// noteLater puts text where noteAll finds it.
func (c *conductor) noteLater(text string) {
	c.log.Info("run changed its course", slog.String("note", text))
	select {
	case c.notes <- text:
	default:
	}
}

// noteAll tells the leader what belongs into the run's history, one note after
// the other, until the run is not conducted here any more. That there is
// another leader does: until there was, the run could record nothing.
func (c *conductor) noteAll() {
	last, _, changed := c.n.leaders.now()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-changed:
			var id string
			if id, _, changed = c.n.leaders.now(); id == "" || id == last {
				continue
			}
			if last != "" {
				c.noteLater("node " + c.n.nameOf(id) + " leads the cluster from now on")
			}
			last = id
		case text := <-c.notes:
			ctx, cancel := context.WithTimeout(c.ctx, describeTimeout)
			if _, err := lead[wire.Nothing](ctx, c.n, wire.MethodNote, wire.Note{Run: c.run.ID, Epoch: c.run.Epoch, Text: text}); err != nil {
				c.log.Debug("a note could not be taken", telemetry.Err(err))
			}
			cancel()
		}
	}
}
