package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/musterhq/muster/internal/master"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// batch is journal entries and what may happen when they are durable.
type batch struct {
	entries [][]byte
	bytes   int // of entries
	acks    []func(error)
	effects []master.Effect
}

func (b *batch) empty() bool { return len(b.entries)+len(b.acks)+len(b.effects) == 0 }

// record puts outcomes into the next batch.
func (c *conductor) record(r master.Record) {
	e := wire.Entry{Kind: wire.EntryOutcomes, Epoch: c.run.Epoch, N: len(r.Outcomes), Members: []wire.MemberCount{{Member: r.Member, N: len(r.Outcomes)}}}
	e.Blob = make([]byte, 0, wire.RoomFor(r.Outcomes))
	var err error
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		c.won(c.run.Epoch, o)
		if e.Blob, err = wire.AppendOutcome(e.Blob, o); err != nil {
			c.quit(err)
			return
		}
	}
	c.append(&e)
}

// name puts an entry that names tasks into the next batch.
func (c *conductor) name(e wire.Entry, tasks []job.TaskID) {
	e.Epoch = c.run.Epoch
	e.Blob, e.N = wire.AppendRows(nil, tasks)
	c.append(&e)
}

// append puts an entry into the next batch.
func (c *conductor) append(e *wire.Entry) {
	b, err := wire.EncodeEntry(e)
	if err != nil {
		c.quit(err)
		return
	}
	c.next.entries = append(c.next.entries, b)
	c.next.bytes += len(b)
	c.seq++
}

// write begins to write the next batch, unless one is being written.
func (c *conductor) write() {
	if c.busy || c.next.empty() {
		return
	}
	c.going, c.next, c.busy = c.next, batch{}, true
	if len(c.going.entries) == 0 {
		c.written(nil)
		return
	}
	first := c.seq - uint64(len(c.going.entries))
	entries := c.going.entries
	c.wg.Go(func() { c.wrote <- c.appendAll(first, entries) })
}

// appendAll writes entries to the journal, in as many messages as it takes:
// much may have happened at once, and a message has a limit.
func (c *conductor) appendAll(first uint64, entries [][]byte) error {
	for at := 0; at < len(entries); {
		j := wire.Journal{Run: c.run.ID, Epoch: c.run.Epoch, First: first + uint64(at)}
		for size := 0; at < len(entries) && (size == 0 || size+len(entries[at]) <= 2*maxDispatch); at++ {
			j.Entries = append(j.Entries, entries[at])
			size += len(entries[at])
		}
		if err := c.persist(wire.MethodAppend, j); err != nil {
			return err
		}
	}
	return nil
}

// persist writes to the state, however long that takes.
func (c *conductor) persist(method string, message any) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		_, err := lead[wire.Nothing](c.ctx, c.n, method, message)
		if err == nil || isSettled(err) {
			return err // asking again would not change it
		}
		c.log.Warn("the state does not take what the run records", slog.String("method", method), telemetry.Err(err))
		select {
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		case <-time.After(wait):
		}
	}
}

// written carries out what waited for the batch.
func (c *conductor) written(err error) {
	c.busy = false
	b := c.going
	c.going = batch{}
	if err != nil {
		c.answer(b, err)
		c.quit(err)
		return
	}
	c.answer(b, nil)
	for _, e := range b.effects {
		c.carryOut(e)
	}
}

func (c *conductor) answer(b batch, err error) {
	for _, ack := range b.acks {
		ack(err)
	}
}

func (c *conductor) carryOut(e master.Effect) {
	switch e := e.(type) {
	case master.Assign:
		c.outbox(e.Member).put(e)
	case master.Recall:
		if o := c.outboxes[e.Member]; o != nil { // else it is gone
			o.put(e)
		}
	case master.Note:
		c.noteLater(e.Text)
	case master.Finish:
		c.end(e)
	}
}
