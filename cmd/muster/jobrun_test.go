package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// seen calls then once, when what was written has a text.
type seen struct {
	bytes.Buffer
	text string
	then func()
}

func (s *seen) Write(b []byte) (int, error) {
	n, err := s.Buffer.Write(b)
	if s.then != nil && strings.Contains(s.String(), s.text) {
		s.then()
		s.then = nil
	}
	return n, err
}

// TestWhoIsInterruptedLeavesTheRunAlone interrupts verbs that follow a run or
// wait for it, in the middle of it. It goes on, and they say how to come back.
func TestWhoIsInterruptedLeavesTheRunAlone(t *testing.T) {
	end := make(chan struct{}) // of all six runs
	n := agentOf(t, node.Config{Name: "alice", Slots: 6}, mapreduce.Registry{"talks": mapreduce.ProcessorFunc(func(ctx context.Context, task *mapreduce.Task) (any, error) {
		task.Log.Info("begun")
		select {
		case <-end:
			return "done", nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	})})
	at := served(t, n, gateway.Config{})
	muster(t, n, "job", "put", "talks", "--processor", "talks", "--mode", "standalone")
	var ids []job.RunID
	for verb, text := range map[string]string{
		"job run talks --follow":         " begun\n",
		"job run talks --wait":           "talks@",
		"job run talks --follow -o json": " begun\n",
		"job run talks -w -o yaml":       "run default/",
		"run logs -f":                    " begun\n",
		"run wait":                       "tasks",
	} {
		args := append(strings.Fields(verb), "--addr", at)
		if strings.HasPrefix(verb, "run ") {
			args = append(args, strings.TrimSpace(muster(t, n, "job", "run", "talks")))
		}
		ctx, cancel := context.WithCancel(t.Context())
		out, told := &seen{text: text, then: cancel}, &seen{text: text, then: cancel}
		c := command()
		c.SetOut(out)
		c.SetErr(told)
		c.SetArgs(args)
		err := c.ExecuteContext(ctx)
		if code := exitCode(err, ctx.Err() != nil); code != exitInterrupted {
			t.Errorf("%s: got %d, %v", verb, code, err)
		}
		_, id, ok := strings.Cut(told.String(), "muster run logs -f ")
		id, _, _ = strings.Cut(id, "\n")
		if !ok {
			t.Fatalf("%s: got %q, want how to follow it again", verb, told)
		}
		if text := out.String(); strings.HasPrefix(verb, "job run") && !strings.Contains(verb, "-o") && !strings.HasPrefix(text, id+"\n") {
			t.Errorf("%s: got %q, want the ID first", verb, text)
		}
		ids = append(ids, job.RunID(id))
	}
	for _, verb := range []string{"run wait " + string(ids[0]), "node drain alice"} { // in no time, so that nothing is sent
		_, _, err := execute(t, append(strings.Fields(verb), "--timeout", "1ns", "--addr", at)...)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "--timeout 1ns: ") || !strings.Contains(err.Error(), "goes on") {
			t.Errorf("%s: got %v of what is not over in time", verb, err)
		}
	}
	close(end)
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 6 {
		t.Errorf("got runs %q, want six", ids)
	}
	for _, id := range ids {
		if _, err := n.Run(id).Wait(t.Context()); err != nil {
			t.Errorf("got %v of a run that nobody ended", err)
		}
	}
}

// TestWhoWaitsForARunFailsIfItDoes waits for runs that succeed and fail.
func TestWhoWaitsForARunFailsIfItDoes(t *testing.T) {
	n := agentOf(t, node.Config{Name: "alice"}, mapreduce.Registry{"breaks": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
		task.Log.Info("begun")
		return nil, mapreduce.Permanent(errors.New("no paper"))
	})})
	at := served(t, n, gateway.Config{})
	muster(t, n, "job", "put", "breaks", "--processor", "breaks")
	for _, how := range []string{"--wait", "--follow", "--wait -o json"} {
		out, _, err := execute(t, append([]string{"job", "run", "breaks", "--addr", at}, strings.Fields(how)...)...)
		if exitCode(err, false) != exitFailed || !strings.Contains(err.Error(), "no paper") || !strings.Contains(out, "breaks@") {
			t.Errorf("%s: got %q, %v, want the ID, and that it failed", how, out, err)
		}
	}
}
