package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// stub is a cluster that has a job in every namespace and does what it is told.
type stub struct {
	Pool
	job func(ctx context.Context, namespace, name string) (job.Declared, error)
}

func (s stub) Job(ctx context.Context, namespace, name string) (job.Declared, error) {
	if s.job != nil {
		return s.job(ctx, namespace, name)
	}
	return job.Declared{Spec: job.Spec{Namespace: namespace, Name: name, Processor: "p"}, Revision: 1}, nil
}

func (stub) DeleteJob(context.Context, string, string) error { return nil }

func (stub) Nodes() []api.Node { return nil }

func (stub) Namespaces(context.Context) ([]job.Namespace, error) {
	return []job.Namespace{{Name: "a"}, {Name: "b"}}, nil
}

func (stub) Jobs(context.Context, string, string, int) ([]job.Declared, error) { return nil, nil }

func (stub) Find(context.Context, job.RunQuery) (job.RunPage, error) { return job.RunPage{}, nil }

// guard knows two tokens: one of an operator in namespace a, one of an admin.
type guard struct{ records []string }

func (g *guard) Authenticate(_ context.Context, token string) (Caller, error) {
	switch token {
	case "op":
		return Caller{Name: "op", Roles: map[string]job.Role{"a": job.Operator}}, nil
	case "root":
		return Caller{Name: "root", Roles: map[string]job.Role{job.AllNamespaces: job.Admin}}, nil
	}
	return Caller{}, &refused{"unauthorized", "this is nobody's token"}
}

func (g *guard) Record(_ context.Context, c Caller, n Need, from string, status int) {
	if from == "" {
		panic("no address")
	}
	g.records = append(g.records, strings.Join([]string{c.Name, n.Operation, n.Namespace, n.Target, http.StatusText(status)}, " "))
}

func ask(h http.Handler, method, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestEveryRequestIsLetInOrNot asks with each token for what takes each role.
func TestEveryRequestIsLetInOrNot(t *testing.T) {
	g := &guard{}
	h, err := New(Config{Pool: stub{}, Access: g, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const job = api.Prefix + "/namespaces/a/jobs/j"
	for _, c := range []struct {
		method, path, token string
		status              int
	}{
		{"GET", job, "", 401},
		{"GET", job, "guess", 401},
		{"DELETE", job, "", 401},
		{"GET", job, "op", 200},
		{"DELETE", job, "op", 403},
		{"DELETE", job, "root", 204},
		{"GET", api.Prefix + "/namespaces/b/jobs/j", "op", 404},
		{"DELETE", api.Prefix + "/namespaces/b/jobs/j", "op", 404},
		{"GET", api.Prefix + "/nodes", "op", 403},
		{"GET", api.Prefix + "/nodes", "root", 200},
		{"GET", api.Prefix + "/openapi.json", "", 200},
		{"GET", "/livez", "", 200},
	} {
		w := ask(h, c.method, c.path, c.token)
		if w.Code != c.status {
			t.Errorf("%s %s as %q: got %d, want %d", c.method, c.path, c.token, w.Code, c.status)
		}
		if c.status > 400 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s as %q: got %s, want a problem", c.method, c.path, c.token, w.Body)
		}
		if (c.status == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s %s as %q: got %v, want to be asked for a token with a 401 alone", c.method, c.path, c.token, w.Header())
		}
	}
	want := []string{
		" deleteJob a " + job + " Unauthorized", "op deleteJob a " + job + " Forbidden", "root deleteJob a " + job + " No Content",
		"op deleteJob b " + api.Prefix + "/namespaces/b/jobs/j Not Found",
	}
	if !reflect.DeepEqual(g.records, want) {
		t.Errorf("got records %q, want %q", g.records, want)
	}
	if got := ask(h, "GET", api.Prefix+"/namespaces", "op").Body.String(); got != `{"namespaces":["a"]}`+"\n" {
		t.Errorf("got %s, want the namespaces that the token may see", got)
	}
}

// TestAFaultOfOursIsNoneOfTheirBusiness has the cluster fail in ways that no
// caller can do anything about.
func TestAFaultOfOursIsNoneOfTheirBusiness(t *testing.T) {
	for name, f := range map[string]func(context.Context, string, string) (job.Declared, error){
		"an error": func(context.Context, string, string) (job.Declared, error) {
			return job.Declared{}, errors.New("secret")
		},
		"a panic": func(context.Context, string, string) (job.Declared, error) { panic("secret") },
	} {
		h, err := New(Config{Pool: stub{job: f}, Access: &guard{}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w := ask(h, "GET", api.Prefix+"/namespaces/a/jobs/j", "root")
		if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), "urn:muster:problem:internal") {
			t.Errorf("%s: got %d %s, want a problem that tells nothing", name, w.Code, w.Body)
		}
	}
}

// TestTasksThatAreNotKeptAreNotPassedOverInSilence has a run that was made
// small.
func TestTasksThatAreNotKeptAreNotPassedOverInSilence(t *testing.T) {
	h, err := New(Config{Pool: small{}, Access: &guard{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"tasks", "attempts"} {
		w := ask(h, "GET", api.Prefix+"/namespaces/a/runs/j@1/"+list, "root")
		if want := `"attempts":[],"compacted":true`; w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: got %d %s, want %s in it", list, w.Code, w.Body, want)
		}
	}
}

// small is a cluster that keeps of its runs what they returned.
type small struct{ stub }

func (small) Attempts(context.Context, job.RunID, job.AttemptQuery) (job.AttemptPage, error) {
	return job.AttemptPage{Compacted: true}, nil
}

func TestARequestEndsInTime(t *testing.T) {
	h, err := New(Config{Access: &guard{}, Timeout: time.Millisecond, Log: slog.New(slog.DiscardHandler), Pool: stub{job: func(ctx context.Context, _, _ string) (job.Declared, error) {
		<-ctx.Done()
		return job.Declared{}, ctx.Err()
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if w := ask(h, "GET", api.Prefix+"/namespaces/a/jobs/j", "root"); w.Code != 504 {
		t.Errorf("got %d %s, want 504", w.Code, w.Body)
	}
}

// TestFieldsAreFoundInRefusals has errors as the house writes them.
func TestFieldsAreFoundInRefusals(t *testing.T) {
	for text, want := range map[string]string{
		`job: Shards -1: want a positive number`:                                   "shards",
		`job: Retry.Backoff: trigger: Factor 0.5: want at least 1`:                 "retry.backoff.factor",
		`node: Schedule: When "61 * * * *": want minutes`:                          "schedule.when",
		`node: job a/b: state: invalid: Schedule.When "after b": the job would be`: "schedule.when",
		`node: submit a/b@1: Placement.MinCPU 99: no member has it`:                "placement.min_cpu",
		`job: Limits[1].By "namespace": want job or key`:                           "limits[1].by",
		`job: Limits[0] bounds nothing: set Running`:                               "limits[0]",
		`node: event Name "a b": want 1 to 200 characters`:                         "name",
		`node: event x: ID "y": want at most 200 bytes`:                            "id",
		`node: event x: Data is no JSON`:                                           "data",
		`node: no leader within 10s`:                                               "",
		`state: corrupt`:                                                           "",
		`something went wrong`:                                                     "",
	} {
		if got := fieldOf(text); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
