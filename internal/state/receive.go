package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
)

// serve answers other servers.
func (l *link) serve() {
	l.trans.Handle(wire.MethodRaft, func(ctx context.Context, from string, b []byte) ([]byte, error) {
		return l.receive(ctx, from, b, nil)
	})
	l.trans.HandleStream(wire.MethodRaft, l.receiveStream)
	l.trans.Handle(wire.MethodServer, func(context.Context, string, []byte) ([]byte, error) {
		if l.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return wire.EncodeRecord(l.state.serverStatus())
	})
}

// receiveStream takes a request that is too large for a call, or one that a
// snapshot follows.
func (l *link) receiveStream(ctx context.Context, from string, b []byte, st transport.Stream) error {
	defer context.AfterFunc(l.ctx, func() { st.Close() })()
	var data io.Reader = st
	if len(b) == 0 {
		var err error
		if b, err = io.ReadAll(io.LimitReader(st, wire.MaxRaftRequest+1)); err != nil {
			return err
		}
		data = nil
	}
	b, err := l.receive(ctx, from, b, data)
	if err != nil {
		return err
	}
	_, err = st.Write(b)
	return err
}

// receive hands a request to raft and returns its answer.
func (l *link) receive(ctx context.Context, from string, b []byte, data io.Reader) ([]byte, error) {
	if l.ctx.Err() != nil {
		return nil, ErrClosed
	}
	q, err := wire.DecodeRaftRequest(b)
	if err != nil {
		return nil, err
	}
	if q.Kind != wire.RaftSnapshot {
		data = nil
	} else if data == nil {
		return nil, fmt.Errorf("%w: a snapshot without its data", ErrInvalid)
	} else {
		data = io.LimitReader(data, q.Size+1)
	}
	if err := l.admit(ctx, from, q); err != nil {
		if errors.Is(err, ErrOtherCluster) {
			l.refuse(from, err)
		}
		return nil, err
	}
	command, err := commandOf(from, q)
	if err != nil {
		return nil, err
	}
	answer := make(chan raft.RPCResponse, 1)
	if err := l.deliver(ctx, raft.RPC{Command: command, Reader: data, RespChan: answer}, l.fast(q)); err != nil {
		return nil, err
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			return nil, r.Error
		}
		return l.encode(r.Response)
	case <-l.ctx.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// admit refuses what does not come from a server of this cluster. One without
// a cluster becomes part of that whose entries or candidate it takes.
func (l *link) admit(ctx context.Context, from string, q *wire.RaftRequest) error {
	s := l.state
	switch q.Kind {
	case wire.RaftSnapshot:
		// It is here three times while it is restored.
		if err := full(s.space.Room(3*q.Size, s.floor())); err != nil {
			return err
		}
		return s.identity.adopt(ctx, from, q.Cluster, q.Founders)
	case wire.RaftAppend:
		return s.identity.adopt(ctx, from, q.Cluster, q.Founders)
	case wire.RaftVote:
		if s.dog.stuck.Load() {
			return errStuck
		}
		return s.identity.adopt(ctx, from, q.Cluster, q.Founders)
	case wire.RaftPreVote:
		if s.dog.stuck.Load() {
			return errStuck
		}
	case wire.RaftHandover:
		if _, leader := s.raft.LeaderWithID(); string(leader) != from {
			return fmt.Errorf("%w: %q hands over what it does not have: %q leads", ErrInvalid, from, leader)
		}
		if s.dog.stuck.Load() {
			return errStuck
		}
	}
	return s.identity.check(from, q.Cluster, q.Founders)
}

// fast reports whether q is a heartbeat that changes nothing, which need not
// wait for the disk as what raft does in order may.
func (l *link) fast(q *wire.RaftRequest) bool {
	return q.Kind == wire.RaftAppend && q.N == 0 && q.Index == 0 && q.LogTerm == 0 && q.Commit == 0 &&
		q.Term == l.state.raft.CurrentTerm() && l.state.raft.State() == raft.Follower
}

func (l *link) deliver(ctx context.Context, rpc raft.RPC, fast bool) error {
	if fast {
		l.mu.Lock()
		heartbeat := l.heartbeat
		l.mu.Unlock()
		if heartbeat != nil {
			heartbeat(rpc)
			return nil
		}
	}
	select {
	case l.rpcs <- rpc:
		return nil
	case <-l.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// commandOf returns what raft makes of q.
func commandOf(from string, q *wire.RaftRequest) (any, error) {
	head := header(from, q.Protocol)
	switch q.Kind {
	case wire.RaftAppend:
		a := &raft.AppendEntriesRequest{
			RPCHeader: head, Term: q.Term,
			PrevLogEntry: q.Index, PrevLogTerm: q.LogTerm, LeaderCommitIndex: q.Commit,
		}
		for i, e := range q.Entries {
			if e.Type == wire.EntryConfiguration {
				if _, err := configurationOf(e.Data); err != nil {
					return nil, err
				}
			}
			a.Entries = append(a.Entries, &raft.Log{
				Index: q.First + uint64(i), Term: e.Term, Type: raft.LogType(e.Type), Data: e.Data, AppendedAt: time.Unix(0, e.At).UTC(),
			})
		}
		return a, nil
	case wire.RaftVote:
		return &raft.RequestVoteRequest{
			RPCHeader: head, Term: q.Term, LastLogIndex: q.Index, LastLogTerm: q.LogTerm, LeadershipTransfer: q.Handover,
		}, nil
	case wire.RaftPreVote:
		return &raft.RequestPreVoteRequest{RPCHeader: head, Term: q.Term, LastLogIndex: q.Index, LastLogTerm: q.LogTerm}, nil
	case wire.RaftHandover:
		return &raft.TimeoutNowRequest{RPCHeader: head}, nil
	}
	if _, err := configurationOf(q.Config); err != nil {
		return nil, err
	}
	return &raft.InstallSnapshotRequest{
		RPCHeader: head, SnapshotVersion: raft.SnapshotVersion(q.Format), Term: q.Term,
		LastLogIndex: q.Index, LastLogTerm: q.LogTerm,
		Configuration: q.Config, ConfigurationIndex: q.ConfigIndex, Size: q.Size,
	}, nil
}

func (l *link) encode(response any) ([]byte, error) {
	a := &wire.RaftAnswer{Protocol: raft.ProtocolVersionMax}
	a.Cluster, a.Founders = l.state.identity.get()
	switch r := response.(type) {
	case *raft.AppendEntriesResponse:
		a.Term, a.Last, a.Granted, a.Again = r.Term, r.LastLog, r.Success, r.NoRetryBackoff
	case *raft.RequestVoteResponse:
		a.Term, a.Granted = r.Term, r.Granted
	case *raft.RequestPreVoteResponse:
		a.Term, a.Granted = r.Term, r.Granted
	case *raft.InstallSnapshotResponse:
		a.Term, a.Granted = r.Term, r.Success
	case *raft.TimeoutNowResponse:
	default:
		return nil, fmt.Errorf("%w: answer of type %T", ErrBroken, response)
	}
	return wire.EncodeRaftAnswer(a)
}

// inject hands raft a request of this server's own.
func (l *link) inject(ctx context.Context, command any) error {
	answer := make(chan raft.RPCResponse, 1)
	if err := l.deliver(ctx, raft.RPC{Command: command, RespChan: answer}, false); err != nil {
		return err
	}
	select {
	case r := <-answer:
		return r.Error
	case <-l.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
