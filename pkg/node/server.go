package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// server is this node's part in holding the state: it answers for it while it
// leads, and sends those who ask it on while it does not.
type server struct {
	n     *Node
	state *state.State
	wg    sync.WaitGroup
	stop  context.CancelFunc
	led   chan struct{} // closed when the node leads for the first time
	first sync.Once     // closes led

	mu       sync.Mutex
	leader   *leader      // while the node leads and is ready to; guarded by mu
	waiting  string       // what keeps the node from being part of a cluster; guarded by mu
	promised wire.Promise // to the node that may found a cluster with this one; guarded by mu
}

// holdsState reports whether the node is to hold the state: it starts a
// cluster, is one of the servers of one, or was so in an earlier life.
func (n *Node) holdsState() bool {
	_, err := os.Stat(n.stateDir())
	return len(n.cfg.Join) == 0 || n.cfg.Servers > 0 || err == nil
}

func (n *Node) stateDir() string { return filepath.Join(n.cfg.Dir, "state") }

func (n *Node) openState(ctx context.Context) (err error) {
	if !n.holdsState() {
		return nil
	}
	n.state, err = state.Open(ctx, state.Config{
		Dir: n.stateDir(), ID: n.id, Logger: n.log, Metrics: n.metrics, Now: n.wall, Transport: n.transport, Called: n.nameOf,
	})
	if err != nil {
		return err
	}
	if n.state.Empty() && n.founds() {
		return n.state.Bootstrap(n.id)
	}
	return nil
}

// founds reports whether the node makes a cluster by itself.
func (n *Node) founds() bool { return len(n.cfg.Join) == 0 && n.cfg.Servers <= 1 }

func (n *Node) closeState(context.Context) error {
	if n.state == nil {
		return nil
	}
	return n.state.Close()
}

func newServer(n *Node) *server {
	s := &server{n: n, state: n.state, led: make(chan struct{})}
	s.serve()
	return s
}

// openServer takes part in elections, and returns when the node leads if it is
// the only voter.
func (n *Node) openServer(ctx context.Context) error {
	s := n.server
	if s == nil {
		return nil
	}
	var life context.Context
	life, s.stop = context.WithCancel(n.ctx)
	s.wg.Go(func() { s.state.Lead(life, s.term) })
	s.wg.Go(func() { s.follow(life) })
	s.wg.Go(func() { s.reclaim(life) })
	s.wg.Go(func() { s.keepLogs(life) })
	if s.state.Empty() {
		s.wg.Go(func() { s.form(life) })
		return nil
	}
	if voters := s.state.Servers(); len(voters) != 1 || voters[0].ID != n.id {
		return nil
	}
	select {
	case <-s.led:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("node: wait to lead the cluster: %w", context.Cause(ctx))
	}
}

// closeServer takes no part in elections any more.
func (n *Node) closeServer(context.Context) error {
	if s := n.server; s != nil && s.stop != nil {
		s.stop()
		s.wg.Wait()
	}
	return nil
}

// abdicate hands leadership to another voter, if this node leads and there is
// one.
func (n *Node) abdicate(ctx context.Context) {
	if n.server == nil || !n.server.leads() || len(n.state.Servers()) < 2 || ctx.Err() != nil {
		return
	}
	if err := n.state.Transfer(ctx); err != nil {
		n.log.Warn("leadership could not be handed over", telemetry.Err(err))
	}
}

// follow tells the node who leads.
func (s *server) follow(ctx context.Context) {
	for {
		changed := s.state.LeaderChanged()
		st := s.state.Status()
		s.n.leaders.learn(st.Leader, st.Term)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// reclaimEvery is how often a server looks whether its disk may have back what
// the leader has removed from the state.
const reclaimEvery = 10 * time.Minute

// reclaim gives this server's disk back what was removed from the state.
func (s *server) reclaim(ctx context.Context) {
	tick := time.NewTicker(reclaimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.state.Reclaim(ctx); err != nil && ctx.Err() == nil {
			s.n.log.Warn("what was removed from the state still takes room on the disk", telemetry.Err(err))
		}
	}
}

// term is what the node does each time it becomes the leader, until ctx ends.
func (s *server) term(ctx context.Context) {
	st := s.state.Status()
	s.n.log.Info("this node leads the cluster", telemetry.Term(st.Term), telemetry.Cluster(st.Cluster))
	s.n.metrics.Led(ctx)
	l := newLeader(ctx, s)
	for {
		err := l.establish()
		if err == nil {
			break
		}
		s.n.log.Error("this node can't lead", telemetry.Err(err))
		if !pause(ctx, time.Second) {
			return
		}
		if err := s.state.Transfer(ctx); err != nil {
			s.n.log.Error("nor can another", telemetry.Err(err))
		}
	}
	s.set(l)
	s.first.Do(func() { close(s.led) })
	<-ctx.Done()
	s.set(nil)
	l.end()
	s.n.log.Info("this node leads no more", telemetry.Err(context.Cause(ctx)))
}

func (s *server) set(l *leader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader = l
}

func (s *server) leads() bool {
	_, err := s.lead()
	return err == nil
}

// lead returns the leader that this node is.
func (s *server) lead() (*leader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leader == nil {
		return nil, state.ErrNotLeader
	}
	return s.leader, nil
}

// answer makes f answer a method while this node leads.
func answer[Req, Resp any](s *server, method string, f func(l *leader, ctx context.Context, req Req) (Resp, error)) {
	handle(s.n, method, func(ctx context.Context, from string, req Req) (resp Resp, err error) {
		l, err := s.lead()
		if err != nil {
			return resp, err
		}
		resp, err = f(l, ctx, req)
		s.n.witness(from, method, req, err)
		return resp, err
	})
}

// shareAnswer is answer for what is shared.
func shareAnswer[Req, Resp any](s *server, method string, f func(l *leader, ctx context.Context, req Req) (Resp, error)) {
	share(s.n, method, func(ctx context.Context, _ string, req Req) (resp Resp, err error) {
		l, err := s.lead()
		if err != nil {
			return resp, err
		}
		return f(l, ctx, req)
	})
}

// confirmed is answer for what is read: it saw everything that was
// acknowledged before it was asked for.
func confirmed[Req, Resp any](s *server, method string, f func(l *leader, req Req) (Resp, error)) {
	answer(s, method, func(l *leader, ctx context.Context, req Req) (resp Resp, err error) {
		err = s.state.Read(ctx, func() (err error) {
			resp, err = f(l, req)
			return err
		})
		return resp, err
	})
}

// serve answers for the state.
func (s *server) serve() {
	handle(s.n, wire.MethodStanding, func(context.Context, string, wire.Nothing) (wire.Standing, error) { return s.describe(), nil })
	handle(s.n, wire.MethodPromise, s.promise)
	answer(s, wire.MethodRenew, (*leader).renew)
	answer(s, wire.MethodCreate, (*leader).create)
	shareAnswer(s, wire.MethodCreates, (*leader).createAll)
	shareAnswer(s, wire.MethodEndings, (*leader).endAll)
	answer(s, wire.MethodInput, (*leader).input)
	shareAnswer(s, wire.MethodAppend, (*leader).append)
	answer(s, wire.MethodFinish, (*leader).finish)
	answer(s, wire.MethodEnd, (*leader).cancelRun)
	answer(s, wire.MethodResign, (*leader).resign)
	answer(s, wire.MethodRetry, (*leader).retry)
	answer(s, wire.MethodNote, (*leader).record)
	answer(s, wire.MethodPause, (*leader).pauseJob)
	answer(s, wire.MethodResume, (*leader).resumeJob)
	answer(s, wire.MethodRemove, (*leader).remove)
	answer(s, wire.MethodPutJob, (*leader).putJob)
	answer(s, wire.MethodDeleteJob, (*leader).deleteJob)
	answer(s, wire.MethodRunJob, (*leader).runJob)
	answer(s, wire.MethodBackfill, (*leader).backfill)
	answer(s, wire.MethodPutNamespace, (*leader).putNamespace)
	confirmed(s, wire.MethodNamespaces, func(*leader, wire.Nothing) ([]job.Namespace, error) { return s.state.Namespaces() })
	answer(s, wire.MethodSend, (*leader).send)
	s.serveAccess()
	s.serveBackup()
	s.serveBulk()
	s.serveChanges()
	confirmed(s, wire.MethodJob, (*leader).job)
	confirmed(s, wire.MethodJobInput, (*leader).jobInput)
	confirmed(s, wire.MethodJobs, (*leader).jobs)
	confirmed(s, wire.MethodRevisions, (*leader).revisions)
	confirmed(s, wire.MethodRun, func(l *leader, r wire.RunRef) (job.Run, error) { return l.run(r.Run) })
	confirmed(s, wire.MethodRuns, func(l *leader, p wire.Page) ([]job.Run, error) {
		return s.state.Runs(p.After, min(cmp.Or(max(p.Limit, 0), 100), 1000))
	})
	confirmed(s, wire.MethodFind, func(_ *leader, q job.RunQuery) (job.RunPage, error) { return s.state.Find(q) })
	answer(s, wire.MethodEntry, func(_ *leader, ctx context.Context, e wire.EntryRef) (b []byte, err error) {
		read := func() error {
			b, err = s.state.Entry(e.Run, e.Seq)
			return err
		}
		if err := read(); is(err, state.ErrNoRun) || is(err, state.ErrNoEntry) { // which stays as it is if it is there
			return b, s.state.Read(ctx, read)
		}
		return b, err
	})
	s.serveJournal()
	s.serveEnds() // how a run ended needs no confirmation: it stays so
}

// describe tells what this node knows of the cluster.
func (s *server) describe() wire.Standing {
	st := s.state.Status()
	voters := map[string]string{}
	for _, v := range s.state.Servers() {
		if v.Voter {
			voters[v.ID] = s.n.nameOf(v.ID)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return wire.Standing{
		Leader: st.Leader, Term: st.Term, Cluster: st.Cluster, Empty: s.state.Empty(), Servers: s.n.cfg.Servers,
		Waiting: s.waiting, Voters: voters,
	}
}

// checkCluster refuses a pool that belongs to another cluster than the state
// in this node's directory.
func (n *Node) checkCluster(ctx context.Context) error {
	if n.state == nil || n.state.Cluster() == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for _, m := range n.servers() {
		if m.ID == n.id {
			continue
		}
		s, err := call[wire.Standing](ctx, n, m.ID, wire.MethodStanding, wire.Nothing{})
		if err != nil || s.Cluster == "" || s.Cluster == n.state.Cluster() {
			continue
		}
		err = fmt.Errorf("node: Dir %q holds the state of cluster %s, and member %s of the pool that of cluster %s: give this node another Dir, or let it Join its own cluster",
			n.cfg.Dir, n.state.Cluster(), m.Name, s.Cluster)
		return errors.Join(err, n.members.Disown()) // else it would be back in that pool the next time
	}
	return nil
}
