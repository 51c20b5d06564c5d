package gateway_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
)

// event is one of a stream.
type event struct{ id, name, data string }

// events reads a stream until it ends, or until each has had enough.
func (s *server) events(path string, each func(event) bool, headers ...string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Content-Encoding") != "" {
		s.t.Fatalf("%s: got %d %v, want a stream of events", path, resp.StatusCode, resp.Header)
	}
	var e event
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name != "" && !each(e) {
				return
			}
			e = event{}
		}
	}
}

func TestARunIsWatchedUntilItIsOver(t *testing.T) {
	s := serve(t, gateway.Config{})
	path := s.run("wait", "")
	var states []string
	var last event
	s.events(path+"/watch", func(e event) bool {
		var r api.Run
		if err := json.Unmarshal([]byte(e.data), &r); err != nil {
			t.Fatal(err)
		}
		if len(states) == 0 || states[len(states)-1] != r.State {
			states = append(states, r.State)
		}
		if len(states) == 1 {
			s.do("POST", path+"/stop", "").is(200)
		}
		last = e
		return true
	})
	if n := len(states); n < 2 || states[n-1] != "canceled" {
		t.Errorf("got states %q, want the last to be the end", states)
	}
	s.events(path+"/watch", func(e event) bool {
		t.Errorf("got %+v, which was there before", e)
		return true
	}, "Last-Event-ID: "+last.id)
	s.do("GET", runs+"/none@1/watch", "").refuses(404, "no-run", "")
}

func TestLogsArePagedFollowedAndDownloaded(t *testing.T) {
	s := serve(t, gateway.Config{})
	path := s.run("log", "")
	var followed []string
	s.events(path+"/logs/follow", func(e event) bool {
		if e.name == "line" {
			followed = append(followed, e.id)
		}
		return true
	})
	equal(t, "lines followed", len(followed), 5)
	var paged []string
	for cursor := ""; ; {
		page := into[api.LogLines](s.do("GET", path+"/logs?limit=2&cursor="+cursor, "").is(200))
		for _, l := range page.Lines {
			paged = append(paged, l.Cursor)
			if l.Task != "m0" || l.Text != "line" || l.Level != "INFO" || l.Node != "n0" || len(l.Attrs) != 1 {
				t.Errorf("got %+v, want the line that was written", l)
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	equal(t, "lines paged", paged, followed)
	back := into[api.LogLines](s.do("GET", path+"/logs?order=desc&limit=1", "").is(200))
	equal(t, "the last line", back.Lines[0].Cursor, paged[4])
	equal(t, "with a text", len(into[api.LogLines](s.do("GET", path+"/logs?regexp=n%3D%5B34%5D", "").is(200)).Lines), 2)
	equal(t, "of a level", len(into[api.LogLines](s.do("GET", path+"/logs?level=warn", "").is(200)).Lines), 0)

	var rest []string
	s.events(path+"/logs/follow", func(e event) bool {
		if e.name == "line" {
			rest = append(rest, e.id)
		}
		return true
	}, "Last-Event-ID: "+followed[2])
	equal(t, "lines that were missed", rest, followed[3:])

	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path+"/logs/download", nil)
	a := s.do("GET", path+"/logs/download", "").is(200)
	sum := sha256.Sum256(a.body)
	resp, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if !strings.Contains(lines.Text(), " INFO  n0 m0#1 line n=") {
			t.Errorf("got %q, want a line as people read it", lines.Text())
		}
	}
	equal(t, "digest", resp.Trailer.Get("Repr-Digest"), "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")

	s.do("GET", path+"/logs?regexp=%28", "").refuses(422, "invalid", "query.regexp")
	s.do("GET", path+"/logs?task=x1", "").refuses(422, "invalid", "query.task")
	s.do("GET", path+"/logs?cursor=x", "").refuses(422, "invalid", "query.cursor")
	s.do("GET", path+"/logs/follow", "", "Last-Event-ID: x").refuses(422, "invalid", "header.Last-Event-ID")
	s.do("GET", runs+"/none@1/logs", "").refuses(404, "no-run", "")
	s.do("GET", runs+"/none@1/logs/follow", "").refuses(404, "no-run", "")
	s.do("GET", runs+"/none@1/logs/download", "").refuses(404, "no-run", "")
}
