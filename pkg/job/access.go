package job

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Role is what somebody may do in a namespace. Each may do what those before it
// may.
type Role string

// The roles, from the one that may least to the one that may all.
const (
	// Viewer reads: jobs, runs, what they log.
	Viewer Role = "viewer"
	// Operator has what is declared run, and ends it: run, cancel, retry, pause
	// and resume, and sends events.
	Operator Role = "operator"
	// Developer says what there is to run: declares jobs, deletes them, submits
	// others.
	Developer Role = "developer"
	// Admin says who may do what: limits of namespaces, tokens, the audit.
	Admin Role = "admin"
)

// Roles is all roles, from the one that may least to the one that may all.
var Roles = []Role{Viewer, Operator, Developer, Admin}

// Covers reports whether whoever has r may do what need may. A role that there
// is not covers nothing, and is covered by none.
func (r Role) Covers(need Role) bool {
	return slices.Contains(Roles, need) && slices.Index(Roles, r) >= slices.Index(Roles, need)
}

// AllNamespaces stands for every namespace where a role is given, those that
// are yet to come included, and for what belongs to none: nodes and servers.
const AllNamespaces = "*"

// Token is what a program or a person shows to be let in, without its secret,
// which nobody has but they.
type Token struct {
	// ID is the part of the token's text that is no secret.
	ID string `msgpack:"i" json:"id"`
	// Name says for people whose it is: 1 to 200 bytes.
	Name string `msgpack:"n" json:"name"`
	// Roles is what it may do, by namespace, or under AllNamespaces.
	Roles map[string]Role `msgpack:"r" json:"roles"`
	// Created is when it was made, and By who made it.
	Created time.Time `msgpack:"c" json:"created"`
	By      string    `msgpack:"b,omitempty" json:"by,omitempty"`
	// Expires is when it is good no more. Zero means never.
	Expires time.Time `msgpack:"e,omitempty" json:"expires,omitzero"`
}

// The bounds of a token.
const (
	maxTokenName  = 200
	maxTokenRoles = 100
)

// Validate returns what is wrong with the parts of a token that its maker
// chooses: the field, the value, and what would be right.
func (t *Token) Validate() error {
	if t.Name == "" || len(t.Name) > maxTokenName || strings.ContainsFunc(t.Name, isControl) {
		return fmt.Errorf("job: Name %.20q of a token: want 1 to %d bytes that say whose it is", t.Name, maxTokenName)
	}
	if len(t.Roles) == 0 || len(t.Roles) > maxTokenRoles {
		return fmt.Errorf("job: Roles of token %s: %d: want 1 to %d, as in reports=viewer, or *=admin", t.Name, len(t.Roles), maxTokenRoles)
	}
	for namespace, role := range t.Roles {
		if !slices.Contains(Roles, role) {
			return fmt.Errorf("job: Roles of token %s: %q in namespace %.20q: want viewer, operator, developer or admin", t.Name, role, namespace)
		}
		if namespace == "" || len(namespace) > maxTokenName || strings.ContainsFunc(namespace, isControl) {
			return fmt.Errorf("job: Roles of token %s: namespace %.20q: want the name of one, or * for all", t.Name, namespace)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// Audit is the record of something that somebody asked for.
type Audit struct {
	// ID tells it from others. Recorded again with the same At it is the same.
	ID string `msgpack:"i" json:"id"`
	// At is when, by the clock of the node that recorded it.
	At time.Time `msgpack:"t" json:"at"`
	// Who asked: a token by its name and ID, or a node by its name.
	Who string `msgpack:"w" json:"who"`
	// From is the address they asked from, as far as it is known.
	From string `msgpack:"f,omitempty" json:"from,omitempty"`
	// Verb is what they asked for, as in "job.put", and Namespace and Object of
	// what.
	Verb      string `msgpack:"v" json:"verb"`
	Namespace string `msgpack:"ns,omitempty" json:"namespace,omitempty"`
	Object    string `msgpack:"o,omitempty" json:"object,omitempty"`
	// Outcome is why it was not done. Empty means that it was.
	Outcome string `msgpack:"e,omitempty" json:"outcome,omitempty"`
}

// AuditQuery says which records are asked for, the latest first. What is zero
// in it does not matter.
type AuditQuery struct {
	// Namespace and Verb are what a record has, Who and Object what it has as a
	// part.
	Namespace string `msgpack:"ns,omitempty" json:"namespace,omitempty"`
	Who       string `msgpack:"w,omitempty" json:"who,omitempty"`
	Verb      string `msgpack:"v,omitempty" json:"verb,omitempty"`
	Object    string `msgpack:"o,omitempty" json:"object,omitempty"`
	// Since and Until are when: from the one on, and before the other.
	Since time.Time `msgpack:"s,omitempty" json:"since,omitzero"`
	Until time.Time `msgpack:"u,omitempty" json:"until,omitzero"`
	// Cursor is where to go on: the Next of the page before.
	Cursor string `msgpack:"c,omitempty" json:"cursor,omitempty"`
	// Limit is how many. Zero means 100; it is never above 1000.
	Limit int `msgpack:"l,omitempty" json:"limit,omitempty"`
}

// Matches reports whether a is one of those asked for, wherever it is in their
// order.
func (q *AuditQuery) Matches(a *Audit) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return is(q.Namespace, a.Namespace) && is(q.Verb, a.Verb) && strings.Contains(a.Object, q.Object) && strings.Contains(a.Who, q.Who) &&
		!a.At.Before(q.Since) && (q.Until.IsZero() || a.At.Before(q.Until))
}

// AuditPage is some of the records that were asked for.
type AuditPage struct {
	Records []Audit `msgpack:"r" json:"records"`
	// Next is the Cursor of the next page. Empty means that this was the last.
	Next string `msgpack:"n,omitempty" json:"next,omitempty"`
}
