package state

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Tokens are part of the state, so they are good at every server and stay with
// the cluster. Of a secret the state has the hash alone.

// maxToken bounds a token, encoded.
const maxToken = 64 << 10

func tokenKey(id string) []byte { return named('G', id) }

// PutToken records a token and the hash of its secret. It may be repeated.
// ErrExists says that there is another of that ID or, with first, that a token
// was recorded as the first one before.
func (s *State) PutToken(ctx context.Context, t job.Token, hash [sha256.Size]byte, first bool) error {
	c := &wire.PutToken{ID: t.ID, Hash: hash[:], First: first}
	var err error
	if c.Record, err = encode(t); err != nil {
		return err
	}
	_, err = s.propose(ctx, c)
	return err
}

func (tx *change) putToken(c *wire.PutToken) (result, error) {
	if len(c.Hash) != sha256.Size || len(c.Record) > maxToken {
		return refuse(ErrInvalid, "token %q takes %d bytes and its hash %d, want at most %d and %d", c.ID, len(c.Record), len(c.Hash), maxToken, sha256.Size)
	}
	old, err := tx.batch.Get(tokenKey(c.ID))
	switch {
	case err == nil && bytes.Equal(old, append(bytes.Clone(c.Hash), c.Record...)):
		return result{}, nil // an answer that was lost, and a second try
	case err == nil:
		return refuse(ErrExists, "token %q, and it is another", c.ID)
	case !errors.Is(err, store.ErrNotFound):
		return result{}, err
	}
	if c.First {
		before, err := tx.batch.Get(firstKey)
		if err == nil {
			return refuse(ErrExists, "token %s was the first of this cluster, and there is one first", before)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return result{}, err
		}
		if err := tx.batch.Put(firstKey, []byte(c.ID)); err != nil {
			return result{}, err
		}
	}
	return result{}, tx.batch.Put(tokenKey(c.ID), c.Hash, c.Record)
}

// RevokeToken removes a token. ErrNoToken says that there is none of that ID,
// as when it is repeated.
func (s *State) RevokeToken(ctx context.Context, id string) error {
	if err := checkName("token", id); err != nil {
		return err
	}
	_, err := s.propose(ctx, &wire.RevokeToken{ID: id})
	return err
}

func (tx *change) revokeToken(c *wire.RevokeToken) (result, error) {
	if _, err := tx.batch.Get(tokenKey(c.ID)); errors.Is(err, store.ErrNotFound) {
		return refuse(ErrNoToken, "%q", c.ID)
	} else if err != nil {
		return result{}, err
	}
	return result{}, tx.batch.Delete(tokenKey(c.ID))
}

// Token returns a token and the hash of its secret, or ErrNoToken.
func (s *State) Token(id string) (t job.Token, hash [sha256.Size]byte, err error) {
	if err := checkName("token", id); err != nil {
		return t, hash, err
	}
	v, err := s.view()
	if err != nil {
		return t, hash, err
	}
	defer v.Close()
	b, err := v.Get(tokenKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return t, hash, fmt.Errorf("%w: %q", ErrNoToken, id)
	}
	if err != nil {
		return t, hash, err
	}
	return decodeToken(id, b)
}

func decodeToken(id string, b []byte) (t job.Token, hash [sha256.Size]byte, err error) {
	if len(b) < len(hash) {
		return t, hash, fmt.Errorf("state: token %q has %d bytes: %w", id, len(b), store.ErrCorrupt)
	}
	copy(hash[:], b)
	err = wire.DecodeRecord(b[len(hash):], &t)
	t.Created, t.Expires = utc(t.Created), utc(t.Expires)
	return t, hash, err
}

// Tokens returns all tokens, in the order of their IDs.
func (s *State) Tokens() ([]job.Token, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	all := []job.Token{}
	for p, err := range v.Scan([]byte("G")) {
		if err != nil {
			return nil, err
		}
		t, _, err := decodeToken(string(p.Key[1:len(p.Key)-1]), p.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}
