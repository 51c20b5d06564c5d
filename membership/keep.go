package membership

import (
	"log/slog"
	"slices"
	"time"
)

// saveDelay gathers changes of the members into one write of the file.
const saveDelay = time.Second

// keep does what may block and what delegates therefore must not do: it logs,
// and it writes down who is here.
func (l *List) keep() {
	save := time.NewTimer(saveDelay)
	save.Stop()
	// Nothing may change for weeks, and then all at once: who was here until
	// then must not count as forgotten, in this life or the next.
	look := time.NewTicker(refreshing)
	defer look.Stop()
	waiting := false
	see := func() {
		if l.known.see(l.Members(), l.Self().ID, time.Now()) && !waiting {
			waiting = true
			save.Reset(saveDelay)
		}
	}
	write := func() {
		waiting = false
		if err := l.known.save(); err != nil {
			l.log.Warn("the members could not be written down", slog.Any("err", err))
		}
	}
	for {
		select {
		case <-l.noted:
			l.runNotes()
		case <-l.moved:
			see()
		case <-look.C:
			see()
		case <-save.C:
			write()
		case <-l.ctx.Done():
			save.Stop()
			l.runNotes()
			if l.known.see(l.Members(), l.Self().ID, time.Now()) {
				write()
			}
			return
		}
	}
}

// runNotes calls what was noted, in order.
func (l *List) runNotes() {
	l.mu.Lock()
	notes := l.notes
	l.notes = nil
	l.mu.Unlock()
	for _, f := range notes {
		f()
	}
}

func (l *List) logEvent(e Event, self string) {
	about := attrs(e.Member)
	switch {
	case e.Kind == Joined && e.Member.ID == self:
		l.log.Info("gossip started", about...)
	case e.Kind == Joined:
		l.log.Info("member joined", about...)
	case e.Kind == Left:
		l.log.Info("member left", about...)
	case e.Kind == Changed:
		l.log.Info("member changed", about...)
	}
}

func attrs(m Member) []any {
	return []any{
		slog.String("member", m.ID), slog.String("name", m.Name), slog.String("addr", m.Addr),
		slog.String("rpc", m.RPC), slog.Uint64("incarnation", m.Incarnation),
	}
}

// doubt looks into why there is more than one life of m's ID. As a rule the
// node was restarted and the death of its former life is not noticed yet. If
// that life is there still when any dead one would have been noticed, two
// nodes share an ID. The elder of the two need not wait: it knows that it
// lives.
func (l *List) doubt(m Member) {
	self := l.Self()
	if m.ID == self.ID && m.Incarnation > self.Incarnation {
		l.logDouble([]Member{m, self})
		return
	}
	l.wg.Go(func() {
		if !pause(l.ctx, 40*l.cfg.ProbeInterval) {
			return
		}
		l.mu.Lock()
		lives := slices.Clone(l.table.lives[m.ID])
		l.mu.Unlock()
		if len(lives) > 1 && lives[0].Addr != lives[1].Addr {
			l.logDouble(lives)
		}
	})
}

// logDouble says that two living nodes, the later one first, have one ID.
func (l *List) logDouble(lives []Member) {
	l.log.Error("two living nodes have one ID, the later one is the member: stop one of them, and give it a data directory of its own",
		slog.String("member", lives[0].ID),
		slog.String("addr", lives[0].Addr), slog.String("name", lives[0].Name),
		slog.String("other_addr", lives[1].Addr), slog.String("other_name", lives[1].Name))
}
