package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
)

// as returns the header that shows a new token with roles.
func (s *server) as(name string, roles map[string]job.Role) (header, id string) {
	s.t.Helper()
	made, text, err := s.node.CreateToken(s.t.Context(), job.Token{Name: name, Roles: roles})
	if err != nil {
		s.t.Fatal(err)
	}
	return "Authorization: Bearer " + text, made.ID
}

// TestTokensSayWhoMayDoWhat asks with no token, a wrong one, and one of each
// role.
func TestTokensSayWhoMayDoWhat(t *testing.T) {
	s := serve(t, gateway.Config{Tokens: true})
	root, _ := s.as("root", map[string]job.Role{job.AllNamespaces: job.Admin})
	viewer, _ := s.as("watch", map[string]job.Role{"reports": job.Viewer})
	operator, _ := s.as("ops", map[string]job.Role{"reports": job.Operator})
	developer, _ := s.as("ci", map[string]job.Role{"reports": job.Developer})
	const nightly, secret = "/namespaces/reports/jobs/nightly", "/namespaces/billing/jobs/secret"
	const spec = `{"processor":"echo"}`
	for _, c := range []struct {
		who, method, path, body string
		status                  int
	}{
		{"", "GET", "/nodes", "", 401},
		{"", "PUT", nightly, spec, 401},
		{"Authorization: Bearer muster_x", "GET", nightly, "", 401},
		{"Authorization: Basic " + strings.TrimPrefix(root, "Authorization: Bearer "), "GET", nightly, "", 401},
		{root[:len(root)-3] + "aaa", "GET", nightly, "", 401},

		{developer, "PUT", nightly, spec, 201},
		{root, "PUT", secret, spec, 201},
		{viewer, "GET", nightly, "", 200},
		{viewer, "PUT", nightly, spec, 403},
		{viewer, "DELETE", nightly, "", 403},
		{viewer, "POST", nightly + "/runs", "", 403},
		{operator, "DELETE", nightly, "", 403},

		// Of another namespace nobody learns what is there.
		{viewer, "GET", secret, "", 404},
		{developer, "PUT", secret, spec, 404},
		{developer, "PUT", "/namespaces/billing/jobs/none", spec, 404},
		{root, "GET", secret, "", 200},
	} {
		var headers []string
		if c.who != "" {
			headers = append(headers, c.who)
		}
		a := s.do(c.method, c.path, c.body, headers...)
		if a.status != c.status {
			t.Errorf("%s %s as %.30q: got %d %s, want %d", c.method, c.path, c.who, a.status, a.body, c.status)
		}
		if a.status == 401 && a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: it is not said that a token is wanted", c.method, c.path)
		}
	}
	hidden, absent := s.do("GET", secret, "", viewer), s.do("GET", "/namespaces/billing/jobs/none", "", viewer)
	if strings.ReplaceAll(string(hidden.body), "secret", "none") != string(absent.body) {
		t.Errorf("what is hidden is told from what is not there: %s and %s", hidden.body, absent.body)
	}
}

func TestARevokedTokenLetsNobodyIn(t *testing.T) {
	s := serve(t, gateway.Config{Tokens: true})
	viewer, id := s.as("watch", map[string]job.Role{"default": job.Viewer})
	s.do("GET", "/namespaces/default/jobs", "", viewer).is(200)
	if err := s.node.RevokeToken(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.do("GET", "/namespaces/default/jobs", "", viewer).refuses(401, "unauthorized", "")
}

// TestWritesLeaveRecords has a token do something, be refused something, and
// look at something, and somebody without one try.
func TestWritesLeaveRecords(t *testing.T) {
	s := serve(t, gateway.Config{Tokens: true})
	ci, id := s.as("ci", map[string]job.Role{"reports": job.Developer})
	const nightly = "/namespaces/reports/jobs/nightly"
	s.do("PUT", nightly, `{"processor":"echo"}`).is(401)
	s.do("PUT", nightly, `{"processor":"echo"}`, ci).is(201)
	s.do("GET", nightly, "", ci).is(200)
	s.do("PUT", "/namespaces/reports", `{}`, ci).is(403)
	page, err := s.node.Audit(t.Context(), job.AuditQuery{Who: id})
	if err != nil || len(page.Records) != 2 {
		t.Fatalf("got %+v, %v, want two records", page, err)
	}
	refused, done := page.Records[0], page.Records[1]
	if done.Who != "token ci ("+id+")" || done.Verb != "job.put" || done.Namespace != "reports" || done.Object != "jobs/nightly" || done.Outcome != "" || !strings.HasPrefix(done.From, "127.0.0.1:") {
		t.Errorf("got %+v, want that ci put reports/nightly, from here", done)
	}
	if refused.Verb != "namespace.put" || refused.Outcome != "403 Forbidden" {
		t.Errorf("got %+v, want that ci was refused to limit the namespace", refused)
	}
	if page, err := s.node.Audit(t.Context(), job.AuditQuery{}); err != nil || len(page.Records) != 2 {
		t.Errorf("got %+v, %v, want no records of others", page, err)
	}
}

// TestWhatAnybodyChangesIsRecorded has no tokens, and a reader leaves no trace.
func TestWhatAnybodyChangesIsRecorded(t *testing.T) {
	s := serve(t, gateway.Config{})
	s.do("PUT", "/namespaces/default/jobs/nightly", `{"processor":"echo"}`).is(201)
	s.do("GET", "/namespaces/default/jobs/nightly", "").is(200)
	page := into[job.AuditPage](s.do("GET", "/audit", "").is(200))
	if len(page.Records) != 1 {
		t.Fatalf("got %+v, want one record", page.Records)
	}
	r := page.Records[0]
	if r.Who != "anybody" || !strings.HasPrefix(r.From, "127.0.0.1:") || r.Verb != "job.put" || r.Object != "jobs/nightly" || r.Namespace != "default" {
		t.Errorf("got %+v, want that anybody put the job", r)
	}
}

// TestTokensAreMadeAndRevokedOverHTTP has an admin let somebody in and out again,
// and see who did it.
func TestTokensAreMadeAndRevokedOverHTTP(t *testing.T) {
	s := serve(t, gateway.Config{Tokens: true})
	root, _ := s.as("root", map[string]job.Role{job.AllNamespaces: job.Admin})
	reports, _ := s.as("boss", map[string]job.Role{"reports": job.Admin}) // of a namespace, not of tokens
	for _, path := range []string{"/tokens", "/audit"} {
		s.do("GET", path, "", reports).refuses(403, "forbidden", "")
	}
	s.do("POST", "/tokens", `{"name":"x","roles":{"*":"admin"}}`, reports).refuses(403, "forbidden", "")
	s.do("POST", "/tokens", `{"name":"x","roles":{}}`, root).is(422)
	s.do("POST", "/tokens", `{"name":"x","roles":{"reports":"king"}}`, root).is(422)
	s.do("POST", "/tokens", `{"name":"x","roles":{"reports":"viewer"},"expires":"2020-01-01T00:00:00Z"}`, root).refuses(422, "invalid", "body.expires")

	made := into[api.MadeToken](s.do("POST", "/tokens", `{"name":"ci","roles":{"reports":"viewer"}}`, root).is(201))
	if made.By != "root" || made.Text == "" {
		t.Errorf("got %+v, want it by root, with its text", made)
	}
	ci := "Authorization: Bearer " + made.Text
	s.do("GET", "/namespaces/reports/jobs", "", ci).is(200)
	list := s.do("GET", "/tokens", "", root).is(200).says(made.ID)
	if strings.Contains(string(list.body), made.Text) {
		t.Errorf("the list has a secret in it: %s", list.body)
	}
	s.do("DELETE", "/tokens/"+made.ID, "", root).is(204)
	s.do("DELETE", "/tokens/"+made.ID, "", root).refuses(404, "no-token", "")
	s.do("GET", "/namespaces/reports/jobs", "", ci).is(401)

	page := into[job.AuditPage](s.do("GET", "/audit?who=root&verb=token.revoke", "", root).is(200))
	if len(page.Records) != 2 || page.Records[1].Object != "tokens/"+made.ID || page.Records[1].Outcome != "" || page.Records[0].Outcome != "404 Not Found" {
		t.Errorf("got %+v, want that root revoked it, and tried again", page.Records)
	}
	s.do("GET", "/audit?cursor=x", "", root).refuses(422, "invalid", "")
}

func TestMetricsTellOnlyThoseWhoMaySeeAllNamespaces(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("runs 1\n")) })
	s := serve(t, gateway.Config{Tokens: true, Metrics: metrics})
	path := strings.TrimSuffix(s.url, api.Prefix) + "/metrics"
	all, _ := s.as("prometheus", map[string]job.Role{job.AllNamespaces: job.Viewer})
	one, _ := s.as("watch", map[string]job.Role{"reports": job.Viewer})
	if a := s.do("GET", path, ""); a.status != 401 || a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("got %d and %v without a token", a.status, a.header)
	}
	if a := s.do("GET", path, "", one); a.status != 403 && a.status != 404 {
		t.Errorf("got %d with the token of one namespace", a.status)
	}
	equal(t, "metrics", string(s.do("GET", path, "", all).is(200).body), "runs 1\n")
}
