package gateway_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
)

// TestEverythingWorksBelowAPath has a proxy put the API below a path, in each of
// the ways that proxies do, and follows every link that it hands out.
func TestEverythingWorksBelowAPath(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    gateway.Config
		strips bool
		header string
		doc    string // where the document says that the API is
	}{
		{"stripped, and the node knows it by its flag", gateway.Config{BasePath: "/some/prefix"}, true, "", "/some/prefix/api/v1"},
		{"not stripped", gateway.Config{BasePath: "/some/prefix/"}, false, "", "/some/prefix/api/v1"},
		{"stripped, and told by a header that is believed", gateway.Config{TrustProxy: true}, true, "/some/prefix", "/some/prefix/api/v1"},
		{"stripped, and told by a header that is not", gateway.Config{}, true, "/some/prefix", "/api/v1"},
		{"stripped, and told nonsense", gateway.Config{TrustProxy: true}, true, "//evil.example/", "/api/v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.cfg)
			to, err := url.Parse(strings.TrimSuffix(s.url, api.Prefix))
			if err != nil {
				t.Fatal(err)
			}
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(to)
				r.SetXForwarded()
				r.Out.Header.Set("X-Forwarded-Prefix", c.header)
			}, FlushInterval: -1}
			var front http.Handler = proxy
			if c.strips {
				front = http.StripPrefix("/some/prefix", proxy)
			}
			p := httptest.NewServer(front)
			defer p.Close()
			s.url, s.http = p.URL+"/some/prefix"+api.Prefix, p.Client()

			walk(t, s, c.doc)
		})
	}
}

// walk goes from the description of the API to the result of a run, by the links
// that it is given. The description says where the API is.
func walk(t *testing.T, s *server, doc string) {
	t.Helper()
	if a := s.do("GET", "/openapi.json", "").is(200); !strings.Contains(string(a.body), `"url": "`+doc+`"`) {
		t.Errorf("the document does not say that the API is at %s", doc)
	}
	s.do("GET", "/openapi.yaml", "").is(200).says("url: " + doc + "\n")
	at := s.url + jobs
	a := s.do("POST", at, `{"name":"nightly","processor":"log"}`).is(201)
	at = follow(t, at, a.header.Get("Location"))
	s.do("GET", at, "").is(200)
	at += "/runs"
	a = s.do("POST", at, "").is(201)
	at = follow(t, at, a.header.Get("Location"))
	s.do("GET", at, "").is(200)
	path := strings.TrimPrefix(at, s.url)
	s.over(path)
	lines := 0
	s.events(path+"/logs/follow", func(e event) bool {
		lines++
		return true
	})
	equal(t, "lines and an end", lines, 6)
	if body := s.do("GET", path+"/logs/download", "").is(200).body; strings.Count(string(body), "\n") != 5 {
		t.Errorf("got %q, want five lines", body)
	}
	s.do("GET", path+"/result/download", "").is(200)
	s.do("GET", "/nowhere", "").refuses(404, "no-path", "")
	s.do("GET", jobs+"/", "").refuses(404, "no-path", "") // and is not sent to a place outside
	waits := s.run("wait", "")
	s.events(waits+"/watch", func(e event) bool { // which comes while the run goes on
		s.do("POST", waits+"/stop", "").is(200)
		return !strings.Contains(e.data, `"canceled"`)
	})
}

// follow returns where a link leads.
func follow(t *testing.T, from, link string) string {
	t.Helper()
	u, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	to, err := u.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return to.String()
}

func TestABasePathThatIsNoneIsRefused(t *testing.T) {
	for _, base := range []string{"muster", "/a/../b", "/a?b", "//a", "/{x}"} {
		if _, err := gateway.Handler(nil, gateway.Config{BasePath: base}); err == nil || !strings.Contains(err.Error(), base) {
			t.Errorf("%q: got %v, want it to be named", base, err)
		}
	}
}

func TestLargeAnswersComeSmall(t *testing.T) {
	s := serve(t, gateway.Config{})
	want := s.do("GET", "/openapi.json", "", "Accept-Encoding: identity").is(200)
	equal(t, "encoding", want.header.Get("Content-Encoding"), "")
	a := s.do("GET", "/openapi.json", "", "Accept-Encoding: br;q=1.0, gzip;q=0.5").is(200)
	equal(t, "encoding", a.header.Get("Content-Encoding"), "gzip")
	z, err := gzip.NewReader(strings.NewReader(string(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(got, want.body) {
		t.Errorf("got %d bytes, %v, want the same %d", len(got), err, len(want.body))
	}
	a = s.do("GET", jobs, "", "Accept-Encoding: gzip").is(200)
	equal(t, "encoding of what is small", a.header.Get("Content-Encoding"), "")
	s.do("GET", jobs+"/none", "", "Accept-Encoding: gzip").refuses(404, "no-job", "")
	s.do("DELETE", jobs+"/none", "", "Accept-Encoding: gzip").refuses(404, "no-job", "")
}

func TestHealthAndMetrics(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("runs 1\n")) })
	s := serve(t, gateway.Config{Metrics: metrics})
	root := strings.TrimSuffix(s.url, api.Prefix)
	for path, want := range map[string]string{"/livez": "ok\n", "/readyz": "ok\n", "/metrics": "runs 1\n"} {
		equal(t, path, string(s.do("GET", root+path, "").is(200).body), want)
	}
	bare := serve(t, gateway.Config{})
	bare.do("GET", strings.TrimSuffix(bare.url, api.Prefix)+"/metrics", "").refuses(404, "no-path", "")
}
