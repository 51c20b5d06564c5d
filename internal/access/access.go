// Package access says who may do what: what a token looks like, whether one is
// the one that it claims to be, and what its roles allow.
//
// It is rules and nothing that acts: who keeps tokens, how they get from one
// node to another and what a refusal looks like is the business of others. It
// reads no clock and draws no chance. What it never does is hand a secret back:
// what is kept of one is its hash.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"strings"

	"github.com/musterhq/muster/pkg/job"
)

// A token's text is "muster_", its ID, "_" and its secret, the latter two in
// lower case letters and the digits 2 to 7. So a scanner for secrets in source
// code finds it, and a double click selects the whole.
const (
	prefix = "muster_"
	// IDSize is how many random bytes the ID of a token is made of.
	IDSize = 10
	// SecretSize is how many its secret is made of.
	SecretSize = 32
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrMalformed says that a text is no token, whatever tokens there are. It does
// not have the text in it, which may be a secret of another kind.
var ErrMalformed = errors.New("access: this is no token: want muster_ID_SECRET, as muster token create prints it")

// Hash is what is kept of a secret. Nobody gets from it to the secret, which is
// random, so it needs no salt and no work factor.
type Hash = [sha256.Size]byte

// Issue makes the text of a token from random bytes: IDSize for its ID and then
// SecretSize for its secret.
func Issue(random *[IDSize + SecretSize]byte) (id, text string, hash Hash) {
	id = encoding.EncodeToString(random[:IDSize])
	return id, prefix + id + "_" + encoding.EncodeToString(random[IDSize:]), sha256.Sum256(random[IDSize:])
}

// Parse returns the ID that a token's text claims, and the hash of its secret.
func Parse(text string) (id string, hash Hash, err error) {
	rest, ok := strings.CutPrefix(text, prefix)
	id, secret, cut := strings.Cut(rest, "_")
	if !ok || !cut || len(id) != encoding.EncodedLen(IDSize) || len(secret) != encoding.EncodedLen(SecretSize) {
		return "", hash, ErrMalformed
	}
	_, err = encoding.DecodeString(id)
	b, secretErr := encoding.DecodeString(secret)
	if err != nil || secretErr != nil {
		return "", hash, ErrMalformed
	}
	return id, sha256.Sum256(b), nil
}

// Same reports whether two secrets are the same, by their hashes, and takes the
// same time for all that differ.
func Same(a, b Hash) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

// Decision is what becomes of a request.
type Decision int

// The decisions.
const (
	// Hidden says that the caller has no role there, and does not get to know
	// whether there is what he asks for: it is not found.
	Hidden Decision = iota
	// Forbidden says that the caller may see it, but not do that.
	Forbidden
	// Allowed says that he may.
	Allowed
)

// String returns the decision in words.
func (d Decision) String() string {
	switch d {
	case Allowed:
		return "allowed"
	case Forbidden:
		return "forbidden"
	}
	return "hidden"
}

// Decide says whether whoever has these roles may do in a namespace what takes
// the role need. What belongs to no namespace, such as nodes, is in
// job.AllNamespaces, and nobody's secret.
func Decide(roles map[string]job.Role, namespace string, need job.Role) Decision {
	here, all := roles[namespace], roles[job.AllNamespaces]
	switch {
	case here.Covers(need) || all.Covers(need):
		return Allowed
	case here.Covers(job.Viewer) || all.Covers(job.Viewer) || namespace == job.AllNamespaces:
		return Forbidden
	}
	return Hidden
}

// Visible reports whether whoever has these roles may see a namespace. A list
// leaves out what is in others.
func Visible(roles map[string]job.Role, namespace string) bool {
	return Decide(roles, namespace, job.Viewer) == Allowed
}
