package node_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
)

func created(t *testing.T, n *node.Node, tok job.Token) (job.Token, string) {
	t.Helper()
	made, text, err := n.CreateToken(t.Context(), tok)
	if err != nil {
		t.Fatal(err)
	}
	return made, text
}

var viewer = job.Token{Name: "ci", Roles: map[string]job.Role{"reports": job.Viewer}}

func TestATokenIsGoodUntilItIsRevoked(t *testing.T) {
	n := start(t, node.Config{Logger: quiet, Name: "alice"})
	made, text := created(t, n, viewer)
	got, err := n.Authenticate(t.Context(), text)
	if err != nil || got.ID != made.ID || got.Roles["reports"] != job.Viewer || got.By != "alice" {
		t.Fatalf("got %+v, %v, want %+v by alice", got, err, made)
	}
	all, err := n.Tokens(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != made.ID {
		t.Errorf("got %+v, %v, want the token", all, err)
	}
	other := text[:len(text)-2] + "aa"
	if other == text {
		other = text[:len(text)-2] + "ba"
	}
	for _, bad := range []string{"", "x", other, strings.Replace(text, made.ID, strings.Repeat("a", len(made.ID)), 1)} {
		if _, err := n.Authenticate(t.Context(), bad); !errors.Is(err, node.ErrToken) || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: got %v, want %v", bad, err, node.ErrToken)
		}
	}
	if err := n.RevokeToken(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Authenticate(t.Context(), text); !errors.Is(err, node.ErrToken) {
		t.Errorf("got %v of a token that was revoked, want %v", err, node.ErrToken)
	}
	err = n.RevokeToken(t.Context(), made.ID)
	if !errors.Is(err, node.ErrNoToken) {
		t.Errorf("got %v, want %v", err, node.ErrNoToken)
	}
	says(t, err, made.ID)
}

func TestTheFirstTokenIsMadeOnce(t *testing.T) {
	n := start(t, node.Config{Logger: quiet})
	made, text, err := n.BootstrapToken(t.Context())
	if err != nil || made.Roles[job.AllNamespaces] != job.Admin {
		t.Fatalf("got %+v, %v, want one that may all", made, err)
	}
	if _, err := n.Authenticate(t.Context(), text); err != nil {
		t.Error(err)
	}
	_, _, err = n.BootstrapToken(t.Context())
	if !errors.Is(err, node.ErrBootstrapped) {
		t.Fatalf("got %v, want %v", err, node.ErrBootstrapped)
	}
	says(t, err, made.ID, "token create")
}

func TestTokensThatMakeNoSenseAreRefused(t *testing.T) {
	n := start(t, node.Config{Logger: quiet})
	for text, tok := range map[string]job.Token{
		"Name":                          {Roles: viewer.Roles},
		"ci: 0: want 1":                 {Name: "ci"},
		`"king" in namespace "reports"`: {Name: "ci", Roles: map[string]job.Role{"reports": "king"}},
		"namespace":                     {Name: "ci", Roles: map[string]job.Role{"": job.Viewer}},
		"in the past":                   {Name: "ci", Roles: viewer.Roles, Expires: time.Now().Add(-time.Second)},
		"say whose it ":                 {Name: "a\nb", Roles: viewer.Roles},
	} {
		_, _, err := n.CreateToken(t.Context(), tok)
		says(t, err, text)
	}
}

// TestTokensAreKnownAllOver asks a server that does not lead, and a node that
// holds no state.
func TestTokensAreKnownAllOver(t *testing.T) {
	c := nodetest.Start(t, 4, func(i int, cfg *node.Config) {
		if cfg.Logger = quiet; i < 3 {
			cfg.Servers = 3
		}
	})
	made, text := created(t, c.Node(3), viewer)
	for i := range 4 {
		if got, err := c.Node(i).Authenticate(t.Context(), text); err != nil || got.ID != made.ID {
			t.Errorf("node %d: got %+v, %v, want %+v", i, got, err, made)
		}
	}
	if err := c.Node(3).RevokeToken(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	leader := slices.IndexFunc([]int{0, 1, 2}, func(i int) bool { return c.Node(i).Leads() })
	if _, err := c.Node(leader).Authenticate(t.Context(), text); !errors.Is(err, node.ErrToken) {
		t.Errorf("the leader: got %v, want %v", err, node.ErrToken)
	}
}

func audit(t *testing.T, n *node.Node, q job.AuditQuery) []job.Audit {
	t.Helper()
	page, err := n.Audit(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return page.Records
}

// TestVisitorsLeaveRecords has a client of the pool do things, and a worker,
// whose program has its own reasons.
func TestVisitorsLeaveRecords(t *testing.T) {
	n := start(t, node.Config{Logger: quiet, Name: "alice"})
	visitor := start(t, node.Config{Logger: quiet, Name: "carol@laptop", Client: true, Join: []string{n.Gossip()}})
	worker := start(t, node.Config{Logger: quiet, Name: "bob", Join: []string{n.Gossip()}})
	if err := visitor.WaitMembers(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	spec := job.Spec{Namespace: "reports", Name: "nightly", Processor: "echo"}
	for _, by := range []*node.Node{visitor, worker, n} {
		if _, err := by.PutJob(t.Context(), spec, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := visitor.PauseJob(t.Context(), "reports", "none", ""); err != nil {
		t.Fatal(err)
	}
	if err := visitor.Undrain(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	refusal := visitor.RevokeToken(t.Context(), "nothing")
	got := audit(t, worker, job.AuditQuery{})
	var verbs []string
	for _, a := range got {
		verbs = append(verbs, a.Verb)
		if a.Who != "node carol@laptop" || a.From == "" || a.At.IsZero() {
			t.Errorf("got %+v, want it of carol, from somewhere, some time", a)
		}
	}
	if want := []string{"token.revoke", "node.undrain", "job.pause", "job.put"}; !slices.Equal(verbs, want) {
		t.Fatalf("got %q, want %q", verbs, want)
	}
	if got[0].Outcome == "" || refusal == nil {
		t.Errorf("got %+v of what was refused with %v", got[0], refusal)
	}
	if a := got[3]; a.Namespace != "reports" || a.Object != "nightly" || a.Outcome != "" {
		t.Errorf("got %+v, want it of reports/nightly, and done", a)
	}
	if a := audit(t, n, job.AuditQuery{Verb: "job.put", Who: "carol"}); len(a) != 1 {
		t.Errorf("got %+v, want one record", a)
	}
}

func TestRecordsAreReadByPages(t *testing.T) {
	n := start(t, node.Config{Logger: quiet})
	for i := range 5 {
		if err := n.Record(t.Context(), job.Audit{At: time.Unix(int64(i), 0), Who: "token ci", Verb: "run.cancel", Object: string(rune('a' + i))}); err != nil {
			t.Fatal(err)
		}
	}
	var all string
	for q := (job.AuditQuery{Limit: 2}); ; {
		page, err := n.Audit(t.Context(), q)
		if err != nil || len(page.Records) > 2 {
			t.Fatalf("got %+v, %v, want at most two", page, err)
		}
		for _, a := range page.Records {
			all += a.Object
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if all != "edcba" {
		t.Errorf("got %q, want the latest first", all)
	}
}

func TestATokenExpires(t *testing.T) {
	c := nodetest.Start(t, 1, func(_ int, cfg *node.Config) { cfg.Logger = quiet })
	tok := viewer
	tok.Expires = time.Now().Add(time.Hour)
	_, text := created(t, c.Node(0), tok)
	if _, err := c.Node(0).Authenticate(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	c.Skew(0, 2*time.Hour)
	_, err := c.Node(0).Authenticate(t.Context(), text)
	if !errors.Is(err, node.ErrToken) {
		t.Errorf("got %v, want %v", err, node.ErrToken)
	}
	says(t, err, "expired")
}
