package node

import (
	"log/slog"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
)

// tendEvery is how often the leader looks at who votes.
const tendEvery = time.Second

// tend brings the servers of the pool into the cluster, one safe step at a
// time. The pool only says who is there; what is safe the state decides.
func (l *leader) tend() {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	var complaint string
	for {
		changed, err := l.state.Tend(l.ctx, l.candidates(), l.voters())
		switch {
		case l.ctx.Err() != nil:
			return
		case err != nil && err.Error() != complaint:
			complaint = err.Error()
			l.n.log.Warn("a server of the pool has no part in the cluster", telemetry.Err(err))
		case err == nil && changed != "":
			complaint = ""
			l.n.log.Info("the servers of the cluster have changed", slog.String("change", changed))
		}
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// candidates returns the servers that are in the pool.
func (l *leader) candidates() []state.Candidate {
	servers := l.n.servers()
	out := make([]state.Candidate, 0, len(servers))
	for _, m := range servers {
		out = append(out, state.Candidate{ID: m.ID})
	}
	return out
}

// voters returns how many voters the cluster should have: the most that any
// server in the pool was configured for.
func (l *leader) voters() int {
	want := max(l.n.cfg.Servers, 1)
	for _, p := range l.n.peers.list() {
		if p.member.Has(roleServer) {
			want = max(want, p.about.Servers)
		}
	}
	return want
}
