package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
)

// TestNothingThatIsSentBreaksTheServer sends requests by chance, as the
// description allows them and as it does not. Whatever comes is answered, by a
// problem if it is refused, and never by a fault of the server. MUSTER_REQUESTS
// is how many there are of each operation.
func TestNothingThatIsSentBreaksTheServer(t *testing.T) {
	t.Chdir(t.TempDir()) // runs may write files where they like
	s := serve(t, gateway.Config{})
	each, seed := 16, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv("MUSTER_REQUESTS")); err == nil {
		each = n
	}
	t.Logf("seed %d", seed)
	doc := into[document](s.do("GET", "/openapi.json", "").is(200))
	const nightly = `{"processor":"echo","schedule":{"when":"30 2 * * *"}}`
	s.do("PUT", "/namespaces/default/jobs/nightly", nightly).is(201)
	ended, failed, going := s.run("log", ""), s.run("fail", ""), s.run("wait", "")
	s.over(ended)
	s.over(failed)
	token, _, err := s.node.CreateToken(t.Context(), job.Token{Name: "ci", Roles: map[string]job.Role{"default": job.Viewer}})
	if err != nil {
		t.Fatal(err)
	}
	bulk, err := s.node.Bulk(t.Context(), job.Bulk{Verb: job.BulkStop, Job: "none"})
	if err != nil {
		t.Fatal(err)
	}
	name := func(path string) string {
		n, _ := url.PathUnescape(path[strings.LastIndex(path, "/")+1:])
		return n
	}
	g := &gambler{Rand: rand.New(rand.NewPCG(seed, 0)), doc: &doc, known: map[string][]string{
		"namespace": {"default"}, "job": {"nightly"}, "name": {"nightly", "order.paid", "j"}, "node": {"n0", s.node.ID()},
		"run": {name(ended), name(failed), name(going)}, "processor": {"echo", "fail", "log", "double"},
		"when":      {"30 2 * * *", "every 1h", "event order.paid", "upstream all of nightly", "at 2030-01-01T00:00:00Z", "never ever"},
		"token":     {token.ID},
		"operation": {bulk.ID},
		"zone":      {"Europe/Berlin", "UTC"},
		"cursor":    {"", "YQ", "0.1"},
		"timeout":   {"0s", "1ms", "20ms", "-1s", "1h"},
		"regexp":    {"line", "(", "^.*$"},
		"rate":      {"10/1m"}, "overlap_key": {"data.a"}, "limit_key": {"data.a"}, "from": nil, "until": nil,
	}}
	done := map[string]int{} // by operation: how many requests were carried out
	paths := make([]string, 0, len(doc.Paths))
	for path := range doc.Paths {
		paths = append(paths, path)
	}
	slices.Sort(paths) // so that the seed says all
	methods := []string{"get", "put", "post", "delete"}
	try := func(path, method string) {
		op := doc.Paths[path][method]
		if op == nil || op.ID == "drainNode" {
			return // it is the only one, and nothing would come to an end
		}
		for _, bad := range []bool{false, true} {
			if s.try(g, strings.ToUpper(method), path, op, bad) < 300 {
				done[op.ID]++
			}
			if op.ID == "deleteJob" || op.ID == "putJob" {
				s.do("PUT", "/namespaces/default/jobs/nightly", nightly)
			}
		}
	}
	for range each {
		for _, path := range paths {
			for _, method := range methods {
				try(path, method)
			}
		}
	}
	for _, path := range paths {
		for _, method := range methods {
			op := doc.Paths[path][method]
			for more := 500; op != nil && op.ID != "drainNode" && done[op.ID] == 0; more-- {
				if more == 0 {
					t.Fatalf("%s: no request was carried out: there is nothing in this that it understands", op.ID)
				}
				try(path, method) // chance was against it
			}
		}
	}
	t.Logf("carried out: %v", done)
	for _, r := range into[api.Runs](s.do("GET", runs+"?state=running,pending&limit=1000", "").is(200)).Runs {
		s.do("POST", runs+"/"+url.PathEscape(r.Name)+"/stop", "").is(200)
	}
	if a := s.do("GET", strings.TrimSuffix(s.url, api.Prefix)+"/readyz", ""); a.status != 200 {
		t.Errorf("got %d %s afterwards, want it to be ready", a.status, a.body)
	}
}

// try sends a request of an operation and judges the answer, of which it returns
// the status.
func (s *server) try(g *gambler, method, path string, op *described, bad bool) (status int) {
	s.t.Helper()
	query, header := url.Values{}, http.Header{}
	for _, p := range op.Parameters {
		value := fmt.Sprint(g.valid(p.Name, p.Schema, 0))
		if bad && g.IntN(4) == 0 {
			value = fmt.Sprint(g.junk())
		}
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
		case g.IntN(3) > 0 && p.Name != "timeout": // for which the default is long
		case p.In == "query":
			query.Set(p.Name, strings.Trim(value, "[]"))
		default:
			header.Set(p.Name, strings.Map(printable, value))
		}
	}
	if bad && g.IntN(6) == 0 {
		query.Set(g.pick(strange), g.pick(strange))
	}
	body, contentType := g.body(op, bad)
	// What is followed goes on for as long as somebody listens.
	patience, lasting := time.Minute, op.Responses["200"].Content["text/event-stream"] != nil
	if lasting {
		patience = 50 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	what := fmt.Sprintf("%s %s?%s %v %.2000q", method, path, query.Encode(), header, body)
	req, err := http.NewRequestWithContext(ctx, method, s.url+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	req.Header = header
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	began := time.Now()
	resp, err := s.http.Do(req)
	if lasting && errors.Is(err, context.DeadlineExceeded) {
		return http.StatusOK
	}
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	defer resp.Body.Close()
	if d := time.Since(began); d > time.Second {
		s.t.Logf("%v %s", d, what)
	}
	said, err := io.ReadAll(resp.Body)
	if err != nil && !lasting {
		s.t.Fatalf("%s: %v", what, err)
	}
	switch kind := resp.Header.Get("Content-Type"); {
	case resp.StatusCode >= 500:
		s.t.Errorf("%s: got %d %s", what, resp.StatusCode, said)
	case resp.StatusCode >= 400 && kind != "application/problem+json":
		s.t.Errorf("%s: got %d %s as %s, want a problem", what, resp.StatusCode, said, kind)
	}
	return resp.StatusCode
}

// printable leaves out what no header can have.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}
