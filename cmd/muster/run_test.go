package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// agent starts a node that can run what every agent can.
func agent(t *testing.T, cfg node.Config) *node.Node {
	t.Helper()
	return agentOf(t, cfg, processors())
}

// agentOf starts a node that can run what it is told to.
func agentOf(t *testing.T, cfg node.Config, of mapreduce.Registry) *node.Node {
	t.Helper()
	cfg.Processors, cfg.Logger = of, slog.New(slog.DiscardHandler)
	n, err := node.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Stop(t.Context()) }) // whose context is over by then
	return n
}

// served serves the API of a node for as long as the test goes on, and returns
// where.
func served(t *testing.T, n *node.Node, cfg gateway.Config) string {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	h, err := gateway.Handler(n, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// muster executes a verb that should go well at a node, and returns what it
// prints.
func muster(t *testing.T, n *node.Node, args ...string) string {
	t.Helper()
	out, _, err := execute(t, append(args, "--addr", served(t, n, gateway.Config{}))...)
	if err != nil {
		t.Fatalf("muster %q: %v", args, err)
	}
	return out
}

// visits is muster for verbs that join the pool.
func visits(t *testing.T, n *node.Node, args ...string) string {
	t.Helper()
	out, _, err := execute(t, append(args, "--join", n.Gossip())...)
	if err != nil {
		t.Fatalf("muster %q: %v", args, err)
	}
	return out
}

// shows checks that each of texts is in what a verb printed.
func shows(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("got %q, want %q in it", out, text)
		}
	}
}

// TestRunVerbsTellOfARunAndEndIt lists, gets, cancels, stops and retries runs.
func TestRunVerbsTellOfARunAndEndIt(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	done, err := n.Submit(t.Context(), job.Spec{Processor: "fanout", Params: `{"tasks":10}`})
	if err == nil {
		_, err = done.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	sleeps := func() *node.Run {
		t.Helper()
		r, err := n.Submit(t.Context(), job.Spec{Processor: "sleep", Params: "1h"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	shows(t, muster(t, n, "run", "list"), "RUN ", string(done.ID()), "succeeded")
	out := muster(t, n, "run", "get", string(done.ID()))
	shows(t, out, "succeeded", "alice, epoch 1", "12 of 12 done", "members", "alice 12", "master alice, epoch 1")
	if strings.Contains(out, n.ID()) || strings.Contains(out, "waits") {
		t.Errorf("got %q, want names, and nothing to wait for", out)
	}
	var got api.Run
	if err := json.Unmarshal([]byte(muster(t, n, "run", "get", string(done.ID()), "-o", "json")), &got); err != nil || got.ID != done.ID() || got.Master != n.ID() || got.Progress.Done != 12 {
		t.Errorf("got %+v, %v", got, err)
	}

	canceled := sleeps()
	muster(t, n, "run", "cancel", string(canceled.ID()), "--reason", "too long")
	_, err = canceled.Wait(t.Context())
	var ended *node.RunError
	if !errors.As(err, &ended) || ended.State != job.Canceled || ended.Reason != "too long" {
		t.Errorf("got %v, want it canceled", err)
	}
	stopped := sleeps()
	muster(t, n, "run", "stop", string(stopped.ID()), "--reason", "now")
	shows(t, muster(t, n, "run", "get", string(stopped.ID())), "canceled", "now")
	again := strings.TrimSpace(muster(t, n, "run", "retry", string(stopped.ID())))
	if want := string(stopped.ID()) + "#2"; again != want {
		t.Errorf("got %q, want %q", again, want)
	}
	shows(t, muster(t, n, "run", "get", again), "running", "attempt")
	muster(t, n, "run", "stop", again)
	third := strings.TrimSpace(muster(t, n, "run", "retry", again, "--all"))
	shows(t, third, "#3")
	muster(t, n, "run", "stop", third)
}

// TestJobVerbsPauseAndResume keeps a run waiting, which says why.
func TestJobVerbsPauseAndResume(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	muster(t, n, "job", "put", "naps", "--processor", "sleep", "--params", "1ms")
	muster(t, n, "job", "pause", "naps", "--reason", "siesta")
	shows(t, muster(t, n, "job", "list"), "default/naps", "paused")
	r, err := n.Submit(t.Context(), job.Spec{Name: "naps", Processor: "sleep", Params: "1ms"})
	if err != nil {
		t.Fatal(err)
	}
	shows(t, muster(t, n, "run", "get", string(r.ID())), "pending", "paused", "siesta")
	muster(t, n, "job", "resume", "default/naps")
	if _, err := r.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLimitsAreSaidOfJobsAndNamespaces has a run wait for the rate of its key,
// and a namespace have limits and none.
func TestLimitsAreSaidOfJobsAndNamespaces(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	muster(t, n, "job", "put", "naps", "--processor", "sleep", "--params", "1ms", "--limit", "key=1/1h", "--limit", "job=5", "--limit-key", "data.who ?? 'nobody'", "--weight", "2")
	muster(t, n, "job", "run", "naps", "--extra", "who=bob")
	waits := strings.TrimSpace(muster(t, n, "job", "run", "naps", "--limit-key", "bob", "--unique", "second", "--unique-for", "1h"))
	shows(t, muster(t, n, "run", "get", waits), "pending", "1 run an hour of key bob")
	if again := strings.TrimSpace(muster(t, n, "job", "run", "naps", "--unique", "second")); again != waits {
		t.Errorf("got run %s, want %s again", again, waits)
	}
	muster(t, n, "namespace", "limit", "reports", "--limit", "namespace=20", "--limit", "key=10/1m")
	shows(t, muster(t, n, "namespace", "list"), "reports", "namespace=20 key=10/1m")
	muster(t, n, "namespace", "limit", "reports")
	if out := muster(t, n, "namespace", "list"); strings.Contains(out, "reports") {
		t.Errorf("got %q of a namespace without limits", out)
	}
}

// TestNodeVerbsListAndDrain drains one of two nodes and takes it back.
func TestNodeVerbsListAndDrain(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	other := agent(t, node.Config{Name: "bob", Join: []string{n.Gossip()}})
	if err := n.WaitMembers(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	shows(t, muster(t, n, "node", "list"), "NAME", "alice", "worker,server", "bob", other.ID())
	muster(t, n, "node", "drain", "bob")
	shows(t, muster(t, other, "node", "list"), "draining")
	muster(t, n, "node", "undrain", other.ID())
	_, _, err := execute(t, "node", "drain", "carol", "--addr", served(t, n, gateway.Config{}))
	if exitCode(err, false) != exitNotFound {
		t.Errorf("got %v, want that there is no carol", err)
	}
	if _, _, err := execute(t, "agent", "drain", "bob", "--join", n.Gossip()); err != nil {
		t.Errorf("got %v from a member that drains another", err)
	}
}

func TestVerbsThatMakeNoSenseAreUsageErrors(t *testing.T) {
	for args, want := range map[string]string{
		"run get":                            "run get RUN",
		"run list -o xml":                    `-o "xml"`,
		"run list --addr ftp://x":            `--addr: client: address "ftp://x"`,
		"run list --limit -1":                "--limit -1",
		"run list --from x":                  `--from "x"`,
		"run list --token-file /none":        "--token-file",
		"run list --cacert run_test.go":      "--cacert run_test.go: want certificates",
		"run logs x --lines -1":              "--lines -1",
		"job run x --at noon":                `--at "noon"`,
		"event send x --data {":              "want JSON",
		"node drain":                         "NAME",
		"agent drain":                        "--join is missing",
		"node list more":                     "node list",
		"job pause":                          "JOB",
		"namespace limit x --limit 3":        "as in key=2",
		"namespace limit x --limit key=many": "want a number, or a rate",
		"run cancel x --why me":              "--why",
	} {
		out, _, err := execute(t, strings.Fields(args)...)
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%s: got %q, %v, want a usage error about %q", args, out, err, want)
		}
	}
}

// TestTasksThatAreNotKeptAreMentioned lists those of a run that was made small.
func TestTasksThatAreNotKeptAreMentioned(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/nodes"):
			_, _ = io.WriteString(w, `{"nodes":[]}`)
		case r.URL.Query().Get("cursor") == "":
			_, _ = io.WriteString(w, `{"attempts":[],"compacted":true,"next":"500.0"}`)
		default:
			_, _ = io.WriteString(w, `{"attempts":[{"task":"r0","attempt":1,"epoch":1,"state":"succeeded","took":"1s"}],"compacted":true}`)
		}
	}))
	defer s.Close()
	out, told, err := execute(t, "run", "tasks", "j@1", "--addr", s.URL)
	if err != nil {
		t.Fatal(err)
	}
	shows(t, out, "r0")
	shows(t, told, "Some are not listed")
	out, _, err = execute(t, "run", "tasks", "j@1", "--addr", s.URL, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	shows(t, out, `"compacted":true`)
}
