package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// processors are what the node of a test runs.
var processors = mapreduce.Registry{
	"echo": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) { return t.Params, nil }),
	"fail": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
		return nil, mapreduce.Permanent(errors.New("out of paper"))
	}),
	"log": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		for i := range 5 {
			t.Log.Info("line", slog.Int("n", i))
		}
		return nil, nil
	}),
	"odd": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		var n int
		if err := t.Decode(&n); err != nil {
			return nil, err
		}
		if n%2 == 1 {
			return nil, errors.New("odd")
		}
		return n, nil
	}),
	"double": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		var n int
		err := t.Decode(&n)
		return 2 * n, err
	}),
	"nan": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { return math.NaN(), nil }),
	"wait": mapreduce.ProcessorFunc(func(ctx context.Context, _ *mapreduce.Task) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}),
}

// server is the API of one node.
type server struct {
	t    *testing.T
	node *node.Node
	url  string // up to and with the version
	http *http.Client
}

func serve(t *testing.T, cfg gateway.Config) *server {
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
	cfg.Logger = log
	h, err := gateway.Handler(n, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &server{t: t, node: n, url: s.URL + api.Prefix, http: s.Client()}
}

// answer is what a request was answered with.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   []byte
}

// do sends a request. Headers are given as "Name: value".
func (s *server) do(method, path, body string, headers ...string) *answer {
	s.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = s.url + path
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := s.http.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return &answer{s.t, method + " " + path, resp.StatusCode, resp.Header, b}
}

// is checks the status of an answer.
func (a *answer) is(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: got %d %s, want %d", a.what, a.status, a.body, status)
	}
	return a
}

// into decodes what an answer says.
func into[T any](a *answer) (v T) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatalf("%s: %s: %v", a.what, a.body, err)
	}
	return v
}

// says checks that an answer has texts in it.
func (a *answer) says(texts ...string) *answer {
	a.t.Helper()
	for _, text := range texts {
		if !strings.Contains(string(a.body), text) {
			a.t.Errorf("%s: got %s, want it to say %q", a.what, a.body, text)
		}
	}
	return a
}

// refuses checks that an answer is a problem of a kind that names a field, if
// there is one to name.
func (a *answer) refuses(status int, code, location string) *answer {
	a.t.Helper()
	a.is(status)
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("%s: got content type %q, want a problem", a.what, got)
	}
	p := into[api.Problem](a)
	if p.Status != status || p.Title == "" || p.Detail == "" || p.Code() != code {
		a.t.Errorf("%s: got %s, want status %d, title, detail and code %q", a.what, a.body, status, code)
	}
	if location != "" && (len(p.Errors) == 0 || p.Errors[0].Location != location || p.Errors[0].Message == "") {
		a.t.Errorf("%s: got %s, want it to name %q", a.what, a.body, location)
	}
	return a
}

// run makes a run of a processor and returns the path of it.
func (s *server) run(processor, more string) string {
	s.t.Helper()
	a := s.do("POST", "/namespaces/default/runs", fmt.Sprintf(`{"spec":{"name":"j","processor":%q}%s}`, processor, more)).is(201)
	return "/namespaces/default/" + a.header.Get("Location")
}

// over waits for a run and returns it.
func (s *server) over(path string) api.Run {
	s.t.Helper()
	for {
		r := into[api.Run](s.do("GET", path+"/wait", "").is(200))
		if r.State != job.Pending.String() && r.State != job.Running.String() {
			return r
		}
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}
