package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestWatchShowsWhatChanges from a place on, for people and for programs, and
// does so until it is interrupted.
func TestWatchShowsWhatChanges(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	addr := served(t, n, gateway.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	c := command()
	c.SetOut(w)
	c.SetErr(io.Discard)
	c.SetArgs([]string{"watch", "-o", "json", "--addr", addr})
	ended := make(chan error, 1)
	go func() { ended <- c.ExecuteContext(ctx) }()
	changes := json.NewDecoder(r)
	next := func() (c api.Change) {
		t.Helper()
		if err := changes.Decode(&c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := next()
	if first.What != api.Reset || first.ID == "" {
		t.Errorf("the first is %+v, want a reset", first)
	}
	if _, err := n.PutJob(t.Context(), job.Spec{Name: "naps", Processor: "sleep"}, 0); err != nil {
		t.Fatal(err)
	}
	if err := n.PauseJob(t.Context(), "default", "naps", "holidays"); err != nil {
		t.Fatal(err)
	}
	id := pending(t, n, "naps", 1)[0]
	for _, want := range []string{"declared", "paused", "created"} {
		if got := next(); got.What != want || got.Job != "naps" {
			t.Errorf("got %+v, want it %s", got, want)
		}
	}
	cancel()
	if err := <-ended; exitCode(err, true) != exitInterrupted {
		t.Errorf("interrupted: got %v", err)
	}

	var out, told bytes.Buffer
	again, cancel := context.WithCancel(t.Context())
	defer cancel()
	c = command()
	c.SetOut(writerFunc(func(b []byte) (int, error) {
		if strings.Contains(string(b), "run created") {
			cancel()
		}
		return out.Write(b)
	}))
	c.SetErr(&told)
	c.SetArgs([]string{"watch", "--job", "naps", "--after", first.ID, "--addr", addr})
	_ = c.ExecuteContext(again)
	shows(t, out.String(), "job declared        default/naps  revision 1\n", "job paused          default/naps    holidays\n", "run created         "+id+"  pending\n")
	if told.Len() > 0 {
		t.Errorf("told %q, want nothing", told.String())
	}
	_, text, err := execute(t, "watch", "--for", "1ns", "--addr", addr)
	if err != nil || strings.Contains(text, "missed") {
		t.Errorf("for no time: got %q, %v", text, err)
	}
}
