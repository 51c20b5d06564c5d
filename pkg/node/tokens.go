package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// ErrToken says that a token is not good: it is none, was revoked or has
// expired. Which of them it is not for whoever shows it to know.
var ErrToken error = &coded{"token", "node: the token is not good"}

// ErrNoToken says that there is no token of the ID that was given.
var ErrNoToken error = &coded{"no-token", "node: no such token"}

// ErrBootstrapped says that the cluster has had its first token.
var ErrBootstrapped error = &coded{"bootstrapped", "node: the first token was made before"}

// maxTokens bounds how many tokens a cluster has.
const maxTokens = 10_000

// CreateToken makes a token with the Name, Roles and Expires of t, and returns
// it with its text, which nobody can get again: the cluster keeps a hash of its
// secret. When it returns the token is durable.
func (n *Node) CreateToken(ctx context.Context, t job.Token) (made job.Token, text string, err error) {
	return n.newToken(ctx, t, false)
}

// BootstrapToken makes the first token of a cluster, which may all that there
// is. It does so once in the life of a cluster, whoever asks and however often;
// then the error is ErrBootstrapped, and CreateToken makes others.
func (n *Node) BootstrapToken(ctx context.Context) (made job.Token, text string, err error) {
	return n.newToken(ctx, job.Token{Name: "bootstrap", Roles: map[string]job.Role{job.AllNamespaces: job.Admin}}, true)
}

func (n *Node) newToken(ctx context.Context, t job.Token, first bool) (job.Token, string, error) {
	if err := t.Validate(); err != nil {
		return t, "", err
	}
	now := n.wall().UTC()
	if !t.Expires.IsZero() && !t.Expires.After(now) {
		return t, "", fmt.Errorf("node: Expires %s of token %s is in the past: want a time to come, or none", t.Expires.Format(time.RFC3339), t.Name)
	}
	var random [access.IDSize + access.SecretSize]byte
	_, _ = rand.Read(random[:]) // which never fails
	id, text, hash := access.Issue(&random)
	t.ID, t.Created, t.Expires = id, now, t.Expires.UTC()
	made, err := lead[job.Token](ctx, n, wire.MethodPutToken, wire.NewToken{Token: t, Hash: hash[:], First: first})
	switch {
	case first && is(err, state.ErrExists):
		return t, "", fmt.Errorf("%w: %w: make another with muster token create", ErrBootstrapped, plain(err))
	case err != nil:
		return t, "", fmt.Errorf("node: token %s: %w", t.Name, plain(err))
	}
	return made, text, nil
}

// putToken records a token.
func (l *leader) putToken(ctx context.Context, from string, r wire.NewToken) (job.Token, error) {
	all, err := l.state.Tokens()
	if err != nil {
		return r.Token, err
	}
	if len(all) >= maxTokens {
		return r.Token, fmt.Errorf("%w: there are %d tokens, and no more than that: revoke those that have expired", state.ErrInvalid, len(all))
	}
	if r.Token.By == "" {
		r.Token.By, _ = l.n.visitor(ctx, from)
	}
	if len(r.Hash) != len(access.Hash{}) {
		return r.Token, fmt.Errorf("%w: the hash of token %s has %d bytes", state.ErrInvalid, r.Token.Name, len(r.Hash))
	}
	return r.Token, l.state.PutToken(ctx, r.Token, access.Hash(r.Hash), r.First)
}

// Tokens returns all tokens, in the order of their IDs, those that have expired
// included. Nobody gets to know their secrets.
func (n *Node) Tokens(ctx context.Context) ([]job.Token, error) {
	all, err := lead[[]job.Token](ctx, n, wire.MethodTokens, wire.Nothing{})
	if err != nil {
		return nil, fmt.Errorf("node: tokens: %w", plain(err))
	}
	return all, nil
}

// RevokeToken makes a token good for nothing. It is so at once for whoever asks
// the leader, at other servers when they have heard of it, which takes them
// milliseconds, and at other nodes within five seconds.
func (n *Node) RevokeToken(ctx context.Context, id string) error {
	_, err := lead[wire.Nothing](ctx, n, wire.MethodRevokeToken, wire.TokenRef{ID: id})
	switch {
	case is(err, state.ErrNoToken):
		return fmt.Errorf("%w: %q: see Tokens for those there are", ErrNoToken, id)
	case err != nil:
		return fmt.Errorf("node: token %s: %w", id, plain(err))
	}
	return nil
}

// Authenticate returns the token whose text this is, or ErrToken. A server
// answers by its own copy of the state while it follows a leader; whoever else
// asks the leader and believes its answer for five seconds, so a revoked token is
// good for that long at most. Another error says that nobody could tell.
func (n *Node) Authenticate(ctx context.Context, text string) (job.Token, error) {
	id, hash, err := access.Parse(text)
	if err != nil {
		return job.Token{}, fmt.Errorf("%w: %w", ErrToken, bare(err))
	}
	t, err := n.prove(ctx, id, hash)
	switch {
	case is(err, state.ErrNoToken):
		return job.Token{}, ErrToken
	case err != nil:
		return job.Token{}, fmt.Errorf("node: look for a token: %w", plain(err))
	case !t.Expires.IsZero() && !t.Expires.After(n.wall()):
		return job.Token{}, fmt.Errorf("%w: it has expired at %s", ErrToken, t.Expires.Format(time.RFC3339))
	}
	return t, nil
}

// prove returns the token of an ID if it has that hash, or state.ErrNoToken.
func (n *Node) prove(ctx context.Context, id string, hash access.Hash) (job.Token, error) {
	if n.state != nil && n.state.Leader() != "" {
		if t, err := proven(n.state, id, hash); err == nil {
			return t, nil
		}
		// It may be so new that this copy does not have it yet.
	} else if t, ok := n.proofs.get(id, hash); ok {
		return t, nil
	}
	t, err := lead[job.Token](ctx, n, wire.MethodAuthenticate, wire.Proof{ID: id, Hash: hash[:]})
	if err == nil && n.state == nil {
		n.proofs.put(id, hash, t)
	}
	return t, err
}

// proven is prove by a copy of the state.
func proven(s *state.State, id string, hash access.Hash) (job.Token, error) {
	t, want, err := s.Token(id)
	if err == nil && !access.Same(hash, want) {
		err = fmt.Errorf("%w: %q", state.ErrNoToken, id)
	}
	if err != nil {
		return job.Token{}, err
	}
	return t, nil
}

func (l *leader) authenticate(p wire.Proof) (job.Token, error) {
	if len(p.Hash) != len(access.Hash{}) {
		return job.Token{}, state.ErrNoToken
	}
	return proven(l.state, p.ID, access.Hash(p.Hash))
}

const (
	// believe is how long a node that holds no state believes that a token is
	// good.
	believe = 5 * time.Second
	// maxProofs bounds how many tokens such a node remembers.
	maxProofs = 1000
)

// proofs are the tokens that the leader said are good, a short while ago.
type proofs struct {
	mu    sync.Mutex
	known map[proof]proved // guarded by mu
}

type proof struct {
	id   string
	hash access.Hash
}

type proved struct {
	token job.Token
	until time.Time
}

func (p *proofs) get(id string, hash access.Hash) (job.Token, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.known[proof{id, hash}]
	return k.token, ok && time.Now().Before(k.until)
}

func (p *proofs) put(id string, hash access.Hash, t job.Token) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= maxProofs {
		p.known = map[proof]proved{}
	}
	p.known[proof{id, hash}] = proved{t, time.Now().Add(believe)}
}

// serveAccess answers for tokens and for what was done with them.
func (s *server) serveAccess() {
	handle(s.n, wire.MethodPutToken, func(ctx context.Context, from string, r wire.NewToken) (t job.Token, err error) {
		l, err := s.lead()
		if err != nil {
			return t, err
		}
		t, err = l.putToken(ctx, from, r)
		s.n.witness(from, wire.MethodPutToken, r, err)
		return t, err
	})
	confirmed(s, wire.MethodTokens, func(*leader, wire.Nothing) ([]job.Token, error) { return s.state.Tokens() })
	answer(s, wire.MethodRevokeToken, func(_ *leader, ctx context.Context, r wire.TokenRef) (none wire.Nothing, err error) {
		return none, s.state.RevokeToken(ctx, r.ID)
	})
	confirmed(s, wire.MethodAuthenticate, (*leader).authenticate)
	answer(s, wire.MethodRecord, (*leader).keepAudit)
	confirmed(s, wire.MethodAudit, func(_ *leader, q job.AuditQuery) (job.AuditPage, error) { return s.state.Audit(q) })
}
