// Package client drives a cluster over its HTTP API, from a program that is no
// part of it.
//
//	c, err := client.New("http://127.0.0.1:8080", client.Config{})
//	run, err := c.RunJob(ctx, "reports", "nightly", api.RunNow{Params: `{"day":"monday"}`})
//	run, err = c.WaitRun(ctx, run.ID)
//
// It has a method for each operation of the API, of the same name. What is
// refused is an *api.Problem. What fails on the way is tried again: no operation
// is carried out twice by that, as the client gives each request that makes
// something a key of its own.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/pkg/api"
)

// Config says how a client speaks. The zero value works.
type Config struct {
	// Token is what it shows, if the cluster asks for one.
	Token string
	// HTTP sends requests. Nil means http.DefaultClient. A Timeout of it also
	// ends what is followed and downloaded.
	HTTP *http.Client
	// Attempts is how often a request is sent in all while no answer comes or
	// the cluster says that it can't now. Zero means 4; 1 is once.
	Attempts int
	// Pause is the wait before the second attempt; it is twice as long each time.
	// Zero means 250 ms. A wait that the cluster asks for is kept in any case.
	Pause time.Duration
}

// Client drives a cluster. Its methods may be called at the same time.
type Client struct {
	base     *url.URL // up to and with the version
	token    string
	http     *http.Client
	attempts int
	pause    time.Duration
}

// New returns a client of the cluster that has a node whose API is at addr, as
// in "http://127.0.0.1:8080" or "https://example.com/muster".
func New(addr string, cfg Config) (*Client, error) {
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("client: address %q: want it as in http://127.0.0.1:8080", addr)
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), api.Prefix) + api.Prefix
	c := &Client{base: u, token: cfg.Token, http: cfg.HTTP, attempts: cmp.Or(cfg.Attempts, 4), pause: cmp.Or(cfg.Pause, 250*time.Millisecond)}
	if c.http == nil {
		c.http = http.DefaultClient
	}
	return c, nil
}

// request is what is asked for.
type request struct {
	method string
	path   []string // its parts, as they are
	query  url.Values
	header http.Header
	body   any // nil for none
}

func get(path ...string) *request { return &request{method: http.MethodGet, path: path} }
func post(body any, path ...string) *request {
	return &request{method: http.MethodPost, path: path, body: body}
}

// with adds a parameter to the query, unless it is empty.
func (r *request) with(name, value string) *request {
	if value != "" {
		if r.query == nil {
			r.query = url.Values{}
		}
		r.query.Set(name, value)
	}
	return r
}

func (r *request) number(name string, n int) *request {
	if n == 0 {
		return r
	}
	return r.with(name, strconv.Itoa(n))
}

func (r *request) instant(name string, t time.Time) *request {
	if t.IsZero() {
		return r
	}
	return r.with(name, t.Format(time.RFC3339Nano))
}

func (r *request) say(name, value string) *request {
	if value != "" {
		if r.header == nil {
			r.header = http.Header{}
		}
		r.header.Set(name, value)
	}
	return r
}

// call sends a request and decodes what it is answered with.
func call[T any](ctx context.Context, c *Client, r *request) (out T, err error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("client: %s %s: answer: %w", r.method, resp.Request.URL.Path, err)
	}
	return out, nil
}

// tell sends a request whose answer says nothing.
func (c *Client) tell(ctx context.Context, r *request) error {
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return resp.Body.Close()
}

// send sends a request until it is answered. An answer that is a refusal is an
// error.
func (c *Client) send(ctx context.Context, r *request) (*http.Response, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("client: body: %w", err)
		}
	}
	for attempt := 1; ; attempt++ {
		resp, err := c.once(ctx, r, body)
		wait, again := c.again(attempt, err)
		if !again {
			return resp, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

// again says whether to send a request once more after so many attempts, and
// after which wait.
func (c *Client) again(attempt int, err error) (wait time.Duration, again bool) {
	if err == nil || attempt >= c.attempts || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return 0, false
	}
	wait = c.pause << (attempt - 1)
	var p *problem
	if !errors.As(err, &p) {
		return wait, true // nobody answered
	}
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		return max(wait, p.after), true
	}
	return 0, false
}

func (c *Client) once(ctx context.Context, r *request, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.url(r), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if resp.StatusCode >= 400 {
		defer resp.Body.Close()
		return nil, problemOf(resp)
	}
	return resp, nil
}

// url is where a request goes. Parts of the path may have any characters.
func (c *Client) url(r *request) string {
	u := *c.base
	u = *u.JoinPath()
	escaped := u.EscapedPath()
	for _, part := range r.path {
		escaped += "/" + url.PathEscape(part)
	}
	u.Path, _ = url.PathUnescape(escaped)
	u.RawPath = escaped
	u.RawQuery = r.query.Encode()
	return u.String()
}

// problem is a refusal with how long to wait before asking again.
type problem struct {
	*api.Problem
	after time.Duration
}

// Unwrap returns what callers look for.
func (p *problem) Unwrap() error { return p.Problem }

// problemOf returns what an answer that is a refusal says.
func problemOf(resp *http.Response) error {
	p := &problem{Problem: &api.Problem{}}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(b, p.Problem) != nil || p.Status == 0 { // something in between answered
		p.Problem = &api.Problem{Title: http.StatusText(resp.StatusCode), Detail: strings.TrimSpace(string(b[:min(len(b), 200)]))}
	}
	p.Status = resp.StatusCode
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		p.after = time.Duration(min(n, 60)) * time.Second
	}
	return p
}
