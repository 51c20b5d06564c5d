package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/membership"
)

// A cluster of several servers is founded once, by one of them. When as many
// servers as the cluster is to begin with are in the pool and none has a state
// yet, the one with the lowest ID asks each of the others for its promise to
// follow, and makes the cluster when it has them all. A server gives its
// promise to one founder at a time, so two can't both succeed with a server in
// common; a founder that does not get them all gives them back. A server that
// comes later waits until the leader takes it in.

// formEvery is how often a server without a state looks around.
const formEvery = 250 * time.Millisecond

// form returns when the node is part of a cluster.
func (s *server) form(ctx context.Context) {
	asked := map[string]bool{} // those that may have promised to follow this server
	for s.state.Empty() {
		founders, why := s.founders(ctx)
		if founders != nil {
			err := s.found(ctx, founders, asked)
			if err == nil {
				break
			}
			why = fmt.Sprintf("waits to found a cluster: %v", err)
		}
		if ctx.Err() != nil {
			return
		}
		if s.state.Empty() { // else it was founded after all
			s.giveBack(ctx, asked)
		}
		s.wait(why)
		if !pause(ctx, formEvery) {
			return
		}
	}
	s.wait("")
	s.n.log.Info("this node is part of the cluster", telemetry.Cluster(s.state.Cluster()))
}

// wait says what the node waits for, in its log once.
func (s *server) wait(why string) {
	s.mu.Lock()
	news := s.waiting != why
	s.waiting = why
	s.mu.Unlock()
	if news && why != "" {
		s.n.log.Info("this node holds no state yet", slog.String("reason", why))
	}
}

// founders returns the servers that make a cluster if this node is to ask them
// for that, or else what is waited for.
func (s *server) founders(ctx context.Context) (ids []string, why string) {
	servers := s.n.servers()
	var empty []membership.Member
	for _, m := range servers {
		about, err := s.ask(ctx, m)
		switch {
		case err != nil: // it may have a state
			return nil, fmt.Sprintf("waits for %s to say whether it holds a state", m.Name)
		case !about.Empty:
			return nil, fmt.Sprintf("waits to be taken in by cluster %s, of which %s is a server", cmp.Or(about.Cluster, "(not named yet)"), m.Name)
		}
		empty = append(empty, m)
	}
	want := s.n.cfg.Servers
	if len(empty) < want {
		return nil, fmt.Sprintf("waits for %d of %d servers: there %s so far", want-len(empty), want, names(empty))
	}
	slices.SortFunc(empty, func(a, b membership.Member) int { return cmp.Compare(a.ID, b.ID) })
	if first := empty[0]; first.ID != s.n.id {
		return nil, fmt.Sprintf("waits for %s to found the cluster", first.Name)
	}
	for _, m := range empty[:want] {
		ids = append(ids, m.ID)
	}
	return ids, ""
}

func (s *server) ask(ctx context.Context, m membership.Member) (wire.Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return call[wire.Standing](ctx, s.n, m.ID, wire.MethodStanding, wire.Nothing{})
}

func names(members []membership.Member) string {
	all := make([]string, 0, len(members))
	for _, m := range members {
		all = append(all, m.Name)
	}
	slices.Sort(all)
	return "are " + strings.Join(all, ", ")
}

// found makes a cluster of ids, which all promise to follow.
func (s *server) found(ctx context.Context, ids []string, asked map[string]bool) error {
	for _, id := range ids {
		asked[id] = true
		if err := s.askPromise(ctx, id, false); err != nil {
			return fmt.Errorf("server %s: %w", s.n.nameOf(id), bare(plain(err)))
		}
	}
	s.n.log.Info("this node founds a cluster", slog.Int("servers", len(ids)))
	return s.state.Bootstrap(ids...)
}

// giveBack gives back what was promised to this node, so that another may
// found the cluster. Those that do not answer are asked again the next time.
func (s *server) giveBack(ctx context.Context, asked map[string]bool) {
	for id := range asked {
		if _, there := s.n.members.Member(id); !there || s.askPromise(ctx, id, true) == nil {
			delete(asked, id)
		}
	}
}

func (s *server) askPromise(ctx context.Context, of string, back bool) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	_, err := call[wire.Nothing](ctx, s.n, of, wire.MethodPromise, wire.Promise{Node: s.n.id, Life: s.n.members.Self().Incarnation, Back: back})
	return err
}

// promise gives this node's promise to follow a founder, unless another has it
// who is still there, or takes it back.
func (s *server) promise(_ context.Context, _ string, p wire.Promise) (none wire.Nothing, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	has := s.promised
	mine := has.Node == p.Node && has.Life == p.Life
	switch {
	case p.Back:
		if mine {
			s.promised = wire.Promise{}
		}
	case !s.state.Empty():
		return none, errors.New("node: this server holds a state already")
	case has.Node != "" && !mine && s.lives(has):
		return none, fmt.Errorf("node: this server has promised to follow %s", s.n.nameOf(has.Node))
	default:
		s.promised = p
	}
	return none, nil
}

// lives reports whether the life of a node goes on that something was promised
// to.
func (s *server) lives(p wire.Promise) bool {
	m, ok := s.n.members.Member(p.Node)
	return ok && m.Incarnation == p.Life
}
