package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestTokenVerbsLeaveRecords makes tokens, uses one, revokes it, and looks at
// who did that.
func TestTokenVerbsLeaveRecords(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	out, _, err := execute(t, "token", "bootstrap", "--join", n.Gossip())
	first := strings.TrimSpace(out)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := n.Authenticate(t.Context(), first); err != nil || got.Roles["*"] != job.Admin {
		t.Fatalf("got %+v, %v, want a token that may all", got, err)
	}
	_, _, err = execute(t, "token", "bootstrap", "--join", n.Gossip())
	if !errors.Is(err, node.ErrBootstrapped) {
		t.Errorf("got %v, want %v", err, node.ErrBootstrapped)
	}
	var made struct {
		ID, Token string
		Roles     map[string]job.Role
	}
	at := served(t, n, gateway.Config{Tokens: true})
	t.Setenv("MUSTER_TOKEN", first)
	muster := func(t *testing.T, _ *node.Node, args ...string) string {
		t.Helper()
		out, _, err := execute(t, append(args, "--addr", at)...)
		if err != nil {
			t.Fatalf("muster %q: %v", args, err)
		}
		return out
	}
	out = muster(t, n, "token", "create", "ci", "--role", "reports=developer", "--role", "billing=viewer", "--expires", "90d", "-o", "json")
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Roles["reports"] != job.Developer || made.Roles["billing"] != job.Viewer {
		t.Fatalf("got %+v, %v", made, err)
	}
	list := muster(t, n, "token", "list")
	shows(t, list, "NAME", "ci", "billing=viewer reports=developer", "bootstrap", "*=admin", "never")
	if strings.Contains(list, made.Token) || strings.Contains(list, first) {
		t.Errorf("the list has secrets in it: %s", list)
	}
	muster(t, n, "token", "revoke", made.ID)
	if _, err := n.Authenticate(t.Context(), made.Token); !errors.Is(err, node.ErrToken) {
		t.Errorf("got %v, want %v", err, node.ErrToken)
	}
	shows(t, muster(t, n, "audit", "list", "--who", "bootstrap", "--since", "1d"), "WHO", "token.create", "token bootstrap", made.ID, "ok")
	out = muster(t, n, "audit", "list", "--limit", "1", "-o", "json")
	var page job.AuditPage
	if err := json.Unmarshal([]byte(out), &page); err != nil || len(page.Records) != 1 || page.Records[0].Verb != "token.revoke" || page.Next == "" {
		t.Errorf("got %+v, %v, want the last record and that there are more", page, err)
	}
}

func TestAccessVerbsThatMakeNoSenseAreUsageErrors(t *testing.T) {
	at := served(t, agent(t, node.Config{}), gateway.Config{})
	for args, want := range map[string]string{
		"token create":                               "NAME",
		"token create ci":                            "--role is missing",
		"token create ci --role reports":             `--role "reports"`,
		"token create ci --role reports=king":        "viewer, operator",
		"token create ci --role x=admin --expires y": `--expires "y"`,
		"token revoke":                               "ID",
		"audit list --since x":                       `--since "x"`,
	} {
		_, _, err := execute(t, append(strings.Fields(args), "--addr", at)...)
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a usage error about %q", args, err, want)
		}
	}
}
