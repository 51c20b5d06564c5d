package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// agent starts a node that can run what every agent can.
func agent(t *testing.T, cfg node.Config) *node.Node {
	t.Helper()
	cfg.Processors, cfg.Logger = processors(), slog.New(slog.DiscardHandler)
	n, err := node.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Stop(t.Context()) }) // whose context is over by then
	return n
}

// muster executes a verb that should go well at a node, and returns what it
// prints.
func muster(t *testing.T, n *node.Node, args ...string) string {
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
	var got view
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
	muster(t, n, "job", "pause", "naps", "--reason", "siesta")
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
	_, _, err := execute(t, "node", "drain", "carol", "--join", n.Gossip())
	if err == nil || !strings.Contains(err.Error(), `"carol"`) {
		t.Errorf("got %v, want that there is no carol", err)
	}
}

func TestVerbsThatMakeNoSenseAreUsageErrors(t *testing.T) {
	for args, want := range map[string]string{
		"run get":                            "run get RUN",
		"run get x":                          "--join is missing",
		"run list -o xml --join x":           `-o "xml"`,
		"run list --join x":                  `Join "x"`,
		"node drain":                         "--join is missing",
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
	_, _, err := execute(t, "run", "get", "default/none@1", "--join", agent(t, node.Config{}).Gossip())
	if err == nil || errors.Is(err, errUsage) || !strings.Contains(err.Error(), "no such run") {
		t.Errorf("got %v, want that there is no such run", err)
	}
}
