package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestRefusalsAreSaidInTheWordsOfTheCommandLine asks for what there is not, what
// can't be and what a token may not do.
func TestRefusalsAreSaidInTheWordsOfTheCommandLine(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	_, admin, err := n.BootstrapToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, viewer, err := n.CreateToken(t.Context(), job.Token{Name: "bob", Roles: map[string]job.Role{"default": job.Viewer}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(viewer+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := served(t, n, gateway.Config{Tokens: true})
	for _, c := range []struct {
		args, token string
		code        int
		want        string
	}{
		{"job list", "", exitNoAccess, "MUSTER_TOKEN"},
		{"job list", "muster_nobodys", exitNoAccess, "the token is not good"},
		{"job list", viewer, 0, ""},
		{"job list --token-file " + file, "", 0, ""},
		{"job list -n reports", viewer, exitNotFound, "nothing of that name"},
		{"job delete x", viewer, exitNoAccess, "role developer"},
		{"token list", viewer, exitNoAccess, "role admin"},
		{"job get x", admin, exitNotFound, "no such job"},
		{"run get x@1", admin, exitNotFound, "no such run"},
		{"node get carol", admin, exitNotFound, "no such member"},
		{"job put x --processor sleep --when never", admin, exitUsage, "schedule.when"},
		{"job put x --processor sleep --expect 7", admin, exitFailed, "not at 7"},
		{"run list --state odd", admin, exitUsage, "state"},
	} {
		t.Setenv("MUSTER_TOKEN", c.token)
		_, _, err := execute(t, append(strings.Fields(c.args), "--addr", at)...)
		if got := exitCode(err, false); got != c.code {
			t.Errorf("%s: got %d, %v, want %d", c.args, got, err, c.code)
		}
		if err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "api: ") || strings.Contains(err.Error(), "body.")) {
			t.Errorf("%s: got %v, want %q", c.args, err, c.want)
		}
	}
	if code := exitCode(context.Canceled, true); code != exitInterrupted {
		t.Errorf("got %d for an interrupt", code)
	}
}

// TestVerbsSayWhereNobodyAnswers asks an address that nobody has.
func TestVerbsSayWhereNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + l.Addr().String()
	_ = l.Close()
	_, _, err = execute(t, "node", "list", "--addr", at)
	if exitCode(err, false) != exitFailed || !strings.Contains(err.Error(), at) || !strings.Contains(err.Error(), "MUSTER_ADDR") {
		t.Errorf("got %v, want where nobody is and how to say another place", err)
	}
}

// TestVerbsTrustTheAuthorityThatTheyAreTold asks over TLS.
func TestVerbsTrustTheAuthorityThatTheyAreTold(t *testing.T) {
	h, err := gateway.Handler(agent(t, node.Config{Name: "alice"}), gateway.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(h)
	defer s.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := execute(t, "node", "list", "--addr", s.URL, "--cacert", file)
	if err != nil {
		t.Fatal(err)
	}
	shows(t, out, "alice")
	if _, _, err = execute(t, "node", "list", "--addr", s.URL); err == nil || !strings.Contains(err.Error(), "--cacert") {
		t.Errorf("got %v, want how to trust it", err)
	}
}

// TestEveryFormSaysTheSame shows runs and a run in every form.
func TestEveryFormSaysTheSame(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	muster(t, n, "job", "put", "a", "--processor", "sleep", "--params", "1ms")
	id := strings.TrimSpace(muster(t, n, "job", "run", "a", "--wait"))
	for _, verb := range []string{"run list", "run get " + id} {
		args := strings.Fields(verb)
		if got := muster(t, n, append(args, "-o", "name")...); got != id+"\n" {
			t.Errorf("%s: got %q by name, want %s", verb, got, id)
		}
		asJSON := muster(t, n, append(args, "-o", "json")...)
		var from any
		if err := yaml.Unmarshal([]byte(muster(t, n, append(args, "-o", "yaml")...)), &from); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(from)
		if err != nil {
			t.Fatal(err)
		}
		var a, b bytes.Buffer
		if err := errors.Join(canonical(&a, []byte(asJSON)), canonical(&b, again)); err != nil {
			t.Fatal(err)
		}
		if a.String() != b.String() || !strings.Contains(a.String(), `"state":"succeeded"`) {
			t.Errorf("%s: got %s in JSON and %s in YAML", verb, &a, &b)
		}
	}
}

// canonical writes a value of JSON with its fields by their names.
func canonical(w *bytes.Buffer, b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(v)
}

// TestListsGoOnWhereTheyAreTold pages through jobs, of one namespace and of all.
func TestListsGoOnWhereTheyAreTold(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	for _, name := range []string{"a", "b", "c", "other/d"} {
		muster(t, n, "job", "put", name, "--processor", "sleep")
	}
	var page api.Jobs
	if err := json.Unmarshal([]byte(muster(t, n, "job", "list", "--limit", "2", "-o", "json")), &page); err != nil || page.Next == "" {
		t.Fatalf("got %+v, %v, want that there are more", page, err)
	}
	if got := muster(t, n, "job", "list", "--cursor", page.Next, "-o", "name"); got != "default/c\n" {
		t.Errorf("got %q behind the first two", got)
	}
	if got := muster(t, n, "job", "list", "-A", "-o", "name"); got != "default/a\ndefault/b\ndefault/c\nother/d\n" {
		t.Errorf("got %q of all namespaces", got)
	}
}

// TestTwoAgentsOfAMachineServeTheAPI has the second take another port.
func TestTwoAgentsOfAMachineServeTheAPI(t *testing.T) {
	f := httpFlags{addr: auto}
	for range 2 { // whoever has the first address already
		l, err := f.listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if host, _, err := net.SplitHostPort(l.Addr().String()); err != nil || host != "127.0.0.1" {
			t.Errorf("got %s", l.Addr())
		}
	}
}
