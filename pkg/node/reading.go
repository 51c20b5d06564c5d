package node

import (
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
)

// ended counts a run whose end was recorded because of this node.
func (n *Node) ended(run *job.Run, s job.State) {
	n.metrics.RunEnded(n.ctx, s.String(), string(run.Origin), n.wall().Sub(run.Created))
}

// reading is what metrics show of the node at the moment.
func (n *Node) reading() telemetry.Reading {
	work := n.worker.Stats()
	r := telemetry.Reading{
		Members: len(n.peers.list()), Conducted: n.masters.count(),
		Slots: work.Slots, Executing: work.Running, Queued: work.Queued,
	}
	r.Ahead, _ = n.skew.last()
	r.Free, r.Size = diskOf(n.cfg.Dir)
	r.Lines, r.Dropped = n.logs.collector.Counts()
	if n.server == nil {
		return r
	}
	if l, err := n.server.lead(); err == nil {
		r.Leads = true
		r.Running = l.running()
		_, r.Waiting, _ = n.state.Queued("", "") // 0 while the state closes
	}
	return r
}

// running returns how many runs have begun and not ended.
func (l *leader) running() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runs.Len()
}
