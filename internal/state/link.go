package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/wire"
)

// link carries what raft says over the node's transport. A server's address is
// its ID; where that is the transport knows, so a server that comes back under
// another address is the same.
//
// What is small goes as a call over the control session, and what is not as a
// stream over the bulk session, so that it delays no heartbeat.
type link struct {
	state *State
	trans *transport.Transport // nil if there are no others
	log   *slog.Logger
	rpcs  chan raft.RPC

	ctx    context.Context // the link's life
	cancel context.CancelFunc

	mu        sync.Mutex
	heartbeat func(raft.RPC)       // guarded by mu
	servers   map[string]*followed // guarded by mu
	refused   map[string]bool      // what was logged; guarded by mu
	sending   int                  // snapshots; guarded by mu
}

// followed is what this server has heard of another.
type followed struct {
	heard   time.Time // its last answer, by the clock of this server
	matched uint64    // its log is as this one's up to there
	silent  bool      // its silence was logged

	answers chan struct{} // closed and replaced when it answers
}

const (
	// callBytes is the largest request that goes as a call.
	callBytes = 64 << 10
	// appendBytes is how many bytes of entries go at once; a larger entry goes
	// alone.
	appendBytes = 2 << 20
	// shortWait is how long to wait for an answer that no disk delays, and
	// longWait for one that does.
	shortWait = heartbeat
	longWait  = 10 * time.Second
	// restoreWait is how long a server may take to restore a snapshot that it
	// has received.
	restoreWait = 30 * time.Minute
)

var (
	errAlone = errors.New("state: there is no transport to other servers")
	errStuck = errors.New("state: the disk does not answer")
)

func newLink(s *State, trans *transport.Transport) *link {
	l := &link{
		state: s, trans: trans, log: s.log, rpcs: make(chan raft.RPC),
		servers: map[string]*followed{}, refused: map[string]bool{},
	}
	l.ctx, l.cancel = context.WithCancel(transport.Ahead(context.Background()))
	return l
}

func (l *link) Consumer() <-chan raft.RPC     { return l.rpcs }
func (l *link) LocalAddr() raft.ServerAddress { return raft.ServerAddress(l.state.id) }

func (l *link) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte { return []byte(addr) }
func (l *link) DecodePeer(b []byte) raft.ServerAddress                     { return raft.ServerAddress(b) }

func (l *link) SetHeartbeatHandler(cb func(raft.RPC)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heartbeat = cb
}

// AppendEntriesPipeline is not there: entries go many at once instead.
func (l *link) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// AppendEntries sends entries, as many of them as should go at once: raft
// takes those left in args to be all there were.
func (l *link) AppendEntries(id raft.ServerID, _ raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	args.Entries = atOnce(args.Entries)
	q := &wire.RaftRequest{
		Kind: wire.RaftAppend, Protocol: int(args.ProtocolVersion), Term: args.Term,
		Index: args.PrevLogEntry, LogTerm: args.PrevLogTerm, Commit: args.LeaderCommitIndex,
	}
	for i, e := range args.Entries {
		if i == 0 {
			q.First = e.Index
		}
		q.Entries = append(q.Entries, wire.RaftEntry{Term: e.Term, Type: byte(e.Type), At: e.AppendedAt.UnixNano(), Data: e.Data})
	}
	wait := longWait
	if len(args.Entries) == 0 {
		wait = shortWait
	}
	a, err := l.ask(string(id), q, wait)
	if err != nil {
		if !isHeartbeat(args) {
			l.awaitAnswer(string(id))
		}
		return err
	}
	*resp = raft.AppendEntriesResponse{
		RPCHeader: header(string(id), a.Protocol), Term: a.Term, LastLog: a.Last, Success: a.Granted, NoRetryBackoff: a.Again,
	}
	if n := len(args.Entries); a.Granted && n > 0 {
		l.mu.Lock()
		f := l.followedLocked(string(id))
		f.matched = max(f.matched, args.Entries[n-1].Index)
		l.mu.Unlock()
	}
	return nil
}

// isHeartbeat reports whether raft sends args only to be heard of. It goes on
// to do so while what it has to replicate waits.
func isHeartbeat(args *raft.AppendEntriesRequest) bool {
	return len(args.Entries) == 0 && args.PrevLogEntry == 0 && args.LeaderCommitIndex == 0
}

// awaitAnswer returns when a server that did not answer does, or when it does
// not matter any more. Raft rests after each request that fails, the longer the
// more there were, up to ten seconds. Of one that was away for long it would
// know by its heartbeats that it is back, and still leave it out meanwhile, so
// that the loss of another server would end all writing.
func (l *link) awaitAnswer(id string) {
	r, turned := l.state.throne.now()
	l.mu.Lock()
	answers := l.followedLocked(id).answers
	l.mu.Unlock()
	for r != nil {
		select {
		case <-answers:
			return
		case <-turned:
			return
		case <-l.ctx.Done():
			return
		case <-time.After(longWait):
			if !slices.ContainsFunc(l.state.configuration(), func(v raft.Server) bool { return string(v.ID) == id }) {
				return // it was removed
			}
		}
	}
}

// atOnce returns the first of entries that are worth one request.
func atOnce(entries []*raft.Log) []*raft.Log {
	size := 0
	for i, e := range entries {
		if size += wire.RaftEntrySize(len(e.Data)); i > 0 && (size > appendBytes || i == wire.MaxRaftEntries) {
			return entries[:i]
		}
	}
	return entries
}

func (l *link) RequestVote(id raft.ServerID, _ raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	a, err := l.ask(string(id), &wire.RaftRequest{
		Kind: wire.RaftVote, Protocol: int(args.ProtocolVersion), Term: args.Term,
		Index: args.LastLogIndex, LogTerm: args.LastLogTerm, Handover: args.LeadershipTransfer,
	}, shortWait)
	if err != nil {
		return err
	}
	*resp = raft.RequestVoteResponse{RPCHeader: header(string(id), a.Protocol), Term: a.Term, Granted: a.Granted}
	return nil
}

// RequestPreVote asks whether there would be a vote, so that a server that
// nobody would elect disturbs nobody.
func (l *link) RequestPreVote(id raft.ServerID, _ raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	a, err := l.ask(string(id), &wire.RaftRequest{
		Kind: wire.RaftPreVote, Protocol: int(args.ProtocolVersion), Term: args.Term,
		Index: args.LastLogIndex, LogTerm: args.LastLogTerm,
	}, shortWait)
	if err != nil {
		return err
	}
	*resp = raft.RequestPreVoteResponse{RPCHeader: header(string(id), a.Protocol), Term: a.Term, Granted: a.Granted}
	return nil
}

func (l *link) TimeoutNow(id raft.ServerID, _ raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	a, err := l.ask(string(id), &wire.RaftRequest{Kind: wire.RaftHandover, Protocol: int(args.ProtocolVersion)}, shortWait)
	if err != nil {
		return err
	}
	resp.RPCHeader = header(string(id), a.Protocol)
	return nil
}

// InstallSnapshot sends a snapshot. It is given up when nothing of it has left
// for longWait.
func (l *link) InstallSnapshot(id raft.ServerID, _ raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	l.sends(1)
	defer l.sends(-1)
	l.log.Info("a server is far behind and gets the whole state", telemetry.Member(id), slog.Int64("bytes", args.Size))
	q := &wire.RaftRequest{
		Kind: wire.RaftSnapshot, Protocol: int(args.ProtocolVersion), Term: args.Term,
		Index: args.LastLogIndex, LogTerm: args.LastLogTerm,
		Config: args.Configuration, ConfigIndex: args.ConfigurationIndex, Format: int(args.SnapshotVersion), Size: args.Size,
	}
	a, err := l.exchange(string(id), q, func(b []byte) ([]byte, error) { return l.sendSnapshot(string(id), b, data) })
	if err != nil {
		return err
	}
	*resp = raft.InstallSnapshotResponse{RPCHeader: header(string(id), a.Protocol), Term: a.Term, Success: a.Granted}
	return nil
}

func header(id string, protocol int) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersion(protocol), ID: []byte(id), Addr: []byte(id)}
}

// ask sends q and waits for the answer.
func (l *link) ask(to string, q *wire.RaftRequest, wait time.Duration) (*wire.RaftAnswer, error) {
	return l.exchange(to, q, func(b []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(l.ctx, wait)
		defer cancel()
		if len(b) <= callBytes {
			return l.trans.Call(ctx, to, wire.MethodRaft, b)
		}
		return l.stream(ctx, to, nil, func(w io.Writer) error {
			_, err := w.Write(b)
			return err
		})
	})
}

// exchange does what all requests have in common.
func (l *link) exchange(to string, q *wire.RaftRequest, send func(b []byte) ([]byte, error)) (*wire.RaftAnswer, error) {
	switch {
	case l.trans == nil:
		return nil, errAlone
	case l.state.dog.stuck.Load():
		return nil, errStuck
	case q.Kind == wire.RaftVote || q.Kind == wire.RaftPreVote:
		// Who can't carry out the log should not lead.
		if err := l.state.fsm.failure(); err != nil {
			return nil, err
		}
	}
	q.Cluster, q.Founders = l.state.identity.get()
	b, err := wire.EncodeRaftRequest(q)
	if err != nil {
		l.log.Error("a message to another server can't be written", telemetry.Member(to), telemetry.Err(err))
		return nil, err
	}
	if b, err = send(b); err != nil {
		l.unheard(to, err)
		return nil, err
	}
	a, err := wire.DecodeRaftAnswer(b)
	if err == nil {
		err = l.state.identity.check(to, a.Cluster, a.Founders)
	}
	if err != nil {
		l.refuse(to, err)
		return nil, err
	}
	l.heard(to)
	return a, nil
}

// stream sends a request that is too large for a call: req, and what write
// writes.
func (l *link) stream(ctx context.Context, to string, req []byte, write func(io.Writer) error) ([]byte, error) {
	st, err := l.trans.Open(ctx, to, wire.MethodRaft, req)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	if err = write(st); err == nil {
		err = st.CloseWrite()
	}
	// An answer that came meanwhile says why it was not taken.
	b, readErr := io.ReadAll(io.LimitReader(st, wire.MaxRaftAnswer+1))
	if remote := (*transport.RemoteError)(nil); errors.As(readErr, &remote) || err == nil {
		err = readErr
	}
	return b, err
}

func (l *link) sendSnapshot(to string, req []byte, data io.Reader) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(l.ctx)
	defer cancel(nil)
	slow := time.AfterFunc(longWait, func() { cancel(errors.New("state: the server takes nothing of the snapshot")) })
	defer slow.Stop()
	return l.stream(ctx, to, req, func(w io.Writer) error {
		buf := make([]byte, 256<<10)
		for {
			n, err := data.Read(buf)
			if n > 0 {
				if l.state.dog.stuck.Load() {
					return errStuck
				}
				slow.Reset(longWait)
				if _, err := w.Write(buf[:n]); err != nil {
					return err
				}
			}
			if err == io.EOF {
				slow.Reset(restoreWait)
				return nil
			}
			if err != nil {
				return fmt.Errorf("state: read a snapshot: %w", err)
			}
		}
	})
}

func (l *link) sends(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending += n
}

// isSending reports whether a snapshot is on its way to somebody.
func (l *link) isSending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sending > 0
}

func (l *link) followedLocked(id string) *followed {
	f := l.servers[id]
	if f == nil {
		f = &followed{answers: make(chan struct{})}
		l.servers[id] = f
	}
	return f
}

func (l *link) heard(id string) {
	now := l.state.now()
	l.mu.Lock()
	f := l.followedLocked(id)
	f.heard = now
	back := f.silent
	f.silent = false
	close(f.answers)
	f.answers = make(chan struct{})
	l.mu.Unlock()
	if back {
		l.log.Info("a server of the state answers again", telemetry.Member(id))
	}
}

// unheard says once that a server is silent.
func (l *link) unheard(id string, err error) {
	if l.ctx.Err() != nil {
		return
	}
	// One without the method is being started.
	if remote := (*transport.RemoteError)(nil); errors.As(err, &remote) && remote.Code != transport.CodeNoMethod {
		l.refuse(id, err)
		return
	}
	l.mu.Lock()
	f := l.followedLocked(id)
	first := !f.silent
	f.silent = true
	l.mu.Unlock()
	if first {
		l.log.Warn("a server of the state does not answer", telemetry.Member(id), telemetry.Err(err))
	}
}

// refuse says once why nothing comes of what two servers say to each other.
func (l *link) refuse(id string, err error) {
	text := id + ": " + err.Error()
	l.mu.Lock()
	first := !l.refused[text] && len(l.refused) < 100
	if first {
		l.refused[text] = true
	}
	l.mu.Unlock()
	if first {
		l.log.Warn("two servers of the state do not agree", telemetry.Member(id), telemetry.Err(err))
	}
}

// lastHeard returns when a server answered last, and how far its log is known
// to be as this one's.
func (l *link) lastHeard(id string) (at time.Time, matched uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.servers[id]; f != nil {
		return f.heard, f.matched
	}
	return time.Time{}, 0
}

// close ends everything on its way.
func (l *link) close() { l.cancel() }

var _ interface {
	raft.Transport
	raft.WithPreVote
} = (*link)(nil)

// configurationOf decodes the servers in an entry, which raft would panic on
// if they were none.
func configurationOf(b []byte) (c raft.Configuration, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: a configuration that can't be read: %v", ErrInvalid, v)
		}
	}()
	c = raft.DecodeConfiguration(b)
	if len(c.Servers) == 0 || slices.ContainsFunc(c.Servers, func(s raft.Server) bool { return s.ID == "" }) {
		return c, fmt.Errorf("%w: a configuration without servers, or with one that has no name", ErrInvalid)
	}
	return c, nil
}
