package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/client"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

var processors = mapreduce.Registry{
	"echo": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		t.Log.Info("hello")
		return t.Params, nil
	}),
	"fail": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
		return nil, mapreduce.Permanent(errors.New("out of paper"))
	}),
	"wait": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}),
}

// serve returns the address of the API of one node, below a path. What comes in
// goes by front first.
func serve(t *testing.T, front func(http.Handler) http.Handler) (addr string, c *http.Client) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	n, err := node.Start(t.Context(), node.Config{Name: "n0", Processors: processors, Slots: 2, Logger: log, Grace: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = n.Stop(ctx)
	})
	h, err := gateway.Handler(n, gateway.Config{Logger: log, BasePath: "/muster"})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(front(h))
	t.Cleanup(s.Close)
	return s.URL + "/muster/", s.Client()
}

func bare(h http.Handler) http.Handler { return h }

// TestTheClientSaysAllThatTheDescriptionKnows calls every method, and compares
// what is sent with the description: there is a method for every operation, of
// the same name, and every parameter can be given.
func TestTheClientSaysAllThatTheDescriptionKnows(t *testing.T) {
	var seen record
	addr, hc := serve(t, seen.front)
	c, err := client.New(addr, client.Config{HTTP: hc})
	if err != nil {
		t.Fatal(err)
	}
	callAll(t, c)

	doc := describe(t, addr, hc)
	methods := reflect.TypeFor[*client.Client]()
	for path, byMethod := range doc.Paths {
		for method, op := range byMethod {
			name := strings.ToUpper(op.ID[:1]) + op.ID[1:]
			if _, ok := methods.MethodByName(name); !ok {
				t.Errorf("there is no method %s for operation %s", name, op.ID)
			}
			said, called := seen.of(strings.ToUpper(method), path)
			if !called {
				t.Errorf("%s was never called", op.ID)
			}
			for _, p := range op.Parameters {
				if p.In == "header" {
					p.Name = http.CanonicalHeaderKey(p.Name)
				}
				if p.In != "path" && !slices.Contains(said, p.In+" "+p.Name) {
					t.Errorf("%s was never called with %s %s", op.ID, p.In, p.Name)
				}
			}
		}
	}
	if left := seen.left(doc); len(left) > 0 {
		t.Errorf("the description does not know %q", left)
	}
}

// callAll calls every method with all that can be said.
func callAll(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, must := t.Context(), func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	const ns = "default"
	spec := api.Spec{Name: "j", Processor: "echo", Schedule: api.Schedule{When: "30 2 * * *"}}
	now := time.Now()
	must(c.GetCluster(ctx))
	must(c.ListNodes(ctx))
	must(c.GetNode(ctx, "n0"))
	must(c.DrainNode(ctx, "n0"))
	must(nil, c.UndrainNode(ctx, "n0"))
	must(c.ListProcessors(ctx))
	must(c.PreviewTrigger(ctx, api.Preview{Schedule: spec.Schedule}))
	must(c.ListNamespaces(ctx))
	must(c.PutNamespace(ctx, ns, []job.Limit{{Running: 10}}))
	must(c.GetNamespace(ctx, ns))
	tok, err := c.CreateToken(ctx, api.NewToken{Name: "ci", Roles: map[string]job.Role{ns: job.Viewer}, Expires: now.Add(time.Hour)})
	must(tok, err)
	must(c.ListTokens(ctx))
	must(nil, c.RevokeToken(ctx, tok.ID))
	must(c.ListAudit(ctx, job.AuditQuery{Who: "x", Verb: "job.put", Namespace: ns, Object: "j", Since: now.Add(-time.Hour), Until: now, Cursor: strings.Repeat("0", 24), Limit: 1}))
	must(c.SendEvent(ctx, ns, api.Event{Name: "order.paid", Data: json.RawMessage(`{"amount":5}`)}))

	must(c.CreateJob(ctx, ns, spec))
	must(c.PutJob(ctx, ns, "j", spec, 1))
	must(c.GetJob(ctx, ns, "j"))
	must(c.ListJobs(ctx, ns, "YQ", 10))
	must(c.ListRevisions(ctx, ns, "j"))
	must(c.NextFires(ctx, ns, "j", 3))
	must(c.BackfillJob(ctx, ns, "j", now.Add(-time.Hour), now))
	must(c.ValidateJob(ctx, ns, spec))
	must(c.ExportJobs(ctx, ns))
	must(c.ImportJobs(ctx, ns, api.Specs{Jobs: []api.Spec{spec}}, true))
	for change, err := range c.FollowChanges(ctx, ns, client.ChangeQuery{}) { // it begins anew from where it is not known
		must(change, err)
		must(nil, c.PauseJob(ctx, ns, "j", "holidays"))
		must(nil, c.ResumeJob(ctx, ns, "j"))
		changes(t, c, client.ChangeQuery{Job: "j", After: change.ID}, "job paused holidays", "job resumed ")
		break
	}

	r, err := c.RunJob(ctx, ns, "j", api.RunNow{Params: "hello"})
	must(r, err)
	r, err = c.WaitRun(ctx, r.ID)
	must(r, err)
	must(c.GetRun(ctx, r.ID))
	must(c.ListRuns(ctx, ns, client.RunQuery{
		Job: "j", States: []string{"failed", "succeeded"}, Key: "k", From: now.Add(-time.Hour), Until: now, Tags: []string{"t", "u"}, Sort: "-job", Cursor: "YQ", Limit: 10,
	}))
	tasks := client.TaskQuery{Task: "m", Node: "n", State: "failed", Desc: true, Cursor: "0.0", Limit: 10}
	must(c.ListTasks(ctx, r.ID, tasks))
	must(c.ListAttempts(ctx, r.ID, tasks))
	must(c.GetResult(ctx, r.ID, "0", 10))
	for item, err := range c.DownloadResult(ctx, r.ID) {
		must(item, err)
	}
	lines := client.LogQuery{Level: "all", Node: "n0", Task: "m0", Attempt: 1, Text: "h", Regexp: "h", Limit: 10}
	for line, err := range c.FollowLogs(ctx, r.ID, lines) {
		must(line, err)
		lines.Cursor = line.Cursor
	}
	for line, err := range c.FollowLogs(ctx, r.ID, lines) {
		t.Errorf("got %v, %v, which was there before", line, err)
	}
	lines.Desc = true
	must(c.ListLogs(ctx, r.ID, lines))
	must(nil, c.DownloadLogs(ctx, r.ID, io.Discard))

	w, err := c.SubmitRun(ctx, ns, api.Submit{Spec: api.Spec{Name: "w", Processor: "wait"}})
	must(w, err)
	must(c.CancelRun(ctx, w.ID, "enough"))
	must(c.StopRun(ctx, w.ID, "enough"))
	must(c.RetryRun(ctx, w.ID, true))
	for again, err := range c.WatchRun(ctx, job.Again(w.ID, 2)) {
		must(again, err)
		must(c.StopRun(ctx, again.ID, "enough"))
	}
	stop := api.Bulk{Verb: job.BulkStop, Filter: api.Filter{Job: "w"}}
	must(c.PreviewOperation(ctx, ns, stop))
	o, err := c.BeginOperation(ctx, ns, stop, "")
	must(o, err)
	for o, err = range c.WatchOperation(ctx, ns, o.ID) {
		must(o, err)
	}
	if !o.State.Over() {
		t.Errorf("got %+v, want that it is over when it is watched no more", o)
	}
	must(c.WaitOperation(ctx, ns, o.ID))
	must(c.AwaitOperation(ctx, ns, o.ID, o.Steps))
	must(c.CancelOperation(ctx, ns, o.ID, "enough"))
	must(c.ListOperations(ctx, ns, client.OperationQuery{State: job.OperationDone, Desc: true, Limit: 1, Cursor: "eA"}))
	for o, err := range c.Operations(ctx, ns, client.OperationQuery{Limit: 1}) {
		must(o, err)
	}
	must(nil, c.DeleteJob(ctx, ns, "j"))
}

// changes follows changes until it has some, which it wants to be these.
func changes(t *testing.T, c *client.Client, q client.ChangeQuery, want ...string) {
	t.Helper()
	var got []string
	for change, err := range c.FollowChanges(t.Context(), "default", q) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, string(change.Of)+" "+change.What+" "+change.Reason); len(got) == len(want) {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got changes %q, want %q", got, want)
	}
}

// record is what was asked for.
type record struct {
	mu      sync.Mutex
	said    map[string][]string // by method and path: the parameters
	watched bool
}

func (r *record) front(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		if r.said == nil {
			r.said = map[string][]string{}
		}
		at := req.Method + " " + strings.TrimPrefix(req.URL.EscapedPath(), "/muster"+api.Prefix)
		r.said[at] = append(r.said[at], "")
		for name := range req.URL.Query() {
			r.said[at] = append(r.said[at], "query "+name)
		}
		for name := range req.Header {
			r.said[at] = append(r.said[at], "header "+name)
		}
		first := !r.watched && strings.HasSuffix(at, "/watch")
		r.watched = r.watched || first
		r.mu.Unlock()
		if first {
			w = &brief{ResponseWriter: w} // so that it has to be taken up again
		}
		h.ServeHTTP(w, req)
	})
}

// of returns what was said to an operation, with all of its paths.
func (r *record) of(method, path string) (said []string, called bool) {
	for _, at := range slices.Sorted(maps.Keys(r.said)) {
		if matches(method, path, at) {
			said, called = append(said, r.said[at]...), true
		}
	}
	return said, called
}

func matches(method, path, at string) bool {
	pattern := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`)
	return regexp.MustCompile(`^` + method + ` ` + pattern + `$`).MatchString(at)
}

// left returns what no operation of the description is.
func (r *record) left(doc *description) (left []string) {
	for at := range r.said {
		known := strings.HasSuffix(at, "/openapi.json")
		for path, byMethod := range doc.Paths {
			for method := range byMethod {
				known = known || matches(strings.ToUpper(method), path, at)
			}
		}
		if !known {
			left = append(left, at)
		}
	}
	return left
}

// description is what the test reads of the API's own.
type description struct {
	Paths map[string]map[string]struct {
		ID         string `json:"operationId"`
		Parameters []struct{ Name, In string }
	}
}

func describe(t *testing.T, addr string, hc *http.Client) *description {
	t.Helper()
	resp, err := hc.Get(strings.TrimSuffix(addr, "/") + api.Prefix + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	doc := &description{}
	if err := json.NewDecoder(resp.Body).Decode(doc); err != nil || len(doc.Paths) == 0 {
		t.Fatalf("got %d paths, %v", len(doc.Paths), err)
	}
	return doc
}

// TestWhatIsRefusedIsAProblem asks for what there is not.
func TestWhatIsRefusedIsAProblem(t *testing.T) {
	addr, hc := serve(t, bare)
	c, err := client.New(addr, client.Config{HTTP: hc})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.GetJob(t.Context(), "default", "none")
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != 404 || p.Code() != "no-job" {
		t.Errorf("got %v, want the problem", err)
	}
	_, err = c.PutJob(t.Context(), "default", "j", api.Spec{Processor: "echo", Shards: -1}, 0)
	if !errors.As(err, &p) || !strings.Contains(err.Error(), "body.shards") {
		t.Errorf("got %v, want it to name the field", err)
	}
}

// TestARequestThatIsLostIsSentAgainAndDoneOnce loses the answer to every first
// request.
func TestARequestThatIsLostIsSentAgainAndDoneOnce(t *testing.T) {
	var lost atomic.Int32
	addr, hc := serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && lost.Add(1)%2 == 1 {
				h.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, r)
		})
	})
	c, err := client.New(addr, client.Config{HTTP: hc, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := c.CreateJob(ctx, "default", api.Spec{Name: "j", Processor: "echo"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RunJob(ctx, "default", "j", api.RunNow{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SubmitRun(ctx, "default", api.Submit{Spec: api.Spec{Name: "j", Processor: "echo"}}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range c.Runs(ctx, "default", client.RunQuery{}) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != 2 || lost.Load() != 6 {
		t.Errorf("got %d runs of %d requests, want 2 of 6", n, lost.Load())
	}
}

// TestWhatBreaksOffIsTakenUpAgain breaks every stream after its first event.
func TestWhatBreaksOffIsTakenUpAgain(t *testing.T) {
	var streams atomic.Int32
	addr, hc := serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/follow") {
				streams.Add(1)
				w = &brief{ResponseWriter: w}
			}
			h.ServeHTTP(w, r)
		})
	})
	c, err := client.New(addr, client.Config{HTTP: hc, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var values []any
	for i := range 3 {
		values = append(values, i)
	}
	r, err := c.SubmitRun(t.Context(), "default", api.Submit{Spec: api.Spec{Name: "j", Processor: "echo", Mode: "map", Input: api.Input{Values: values}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WaitRun(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	var got []string
	for l, err := range c.FollowLogs(t.Context(), r.ID, client.LogQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Task)
	}
	slices.Sort(got)
	if fmt.Sprint(got) != "[m0 m1 m2]" || streams.Load() < 3 {
		t.Errorf("got lines of %v in %d streams, want one of each task", got, streams.Load())
	}
}

// brief is an answer that breaks off behind its first event.
type brief struct {
	http.ResponseWriter
	events int
}

func (b *brief) Write(p []byte) (int, error) {
	if b.events == 1 {
		return 0, errors.New("broken off")
	}
	if strings.HasPrefix(string(p), "id:") {
		b.events++
	}
	return b.ResponseWriter.Write(p)
}

func (b *brief) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func TestAddressesAreReadAsPeopleWriteThem(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080":                    "http://127.0.0.1:8080/api/v1/nodes/a%2Fb",
		"http://127.0.0.1:8080/":            "http://127.0.0.1:8080/api/v1/nodes/a%2Fb",
		"https://example.com/muster":        "https://example.com/muster/api/v1/nodes/a%2Fb",
		"https://example.com/muster/api/v1": "https://example.com/muster/api/v1/nodes/a%2Fb",
		"https://example.com/a%20b/api/v1/": "https://example.com/a%20b/api/v1/nodes/a%2Fb",
	} {
		var got *url.URL
		c, err := client.New(addr, client.Config{Attempts: 1, HTTP: &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
			got = r.URL
			return nil, errors.New("enough")
		})}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.GetNode(t.Context(), "a/b"); err == nil || got.String() != want {
			t.Errorf("%s: asked %v, want %s", addr, got, want)
		}
	}
	for _, addr := range []string{"", "ftp://x", "http://", "http://x?y"} {
		if _, err := client.New(addr, client.Config{}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:8080") {
			t.Errorf("%q: got %v, want to be told how", addr, err)
		}
	}
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
