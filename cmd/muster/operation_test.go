package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// pending submits runs of a job that wait for an hour, and returns their IDs.
func pending(t *testing.T, n *node.Node, name string, k int) (ids []string) {
	t.Helper()
	for range k {
		r, err := n.Submit(t.Context(), job.Spec{Name: name, Processor: "sleep"}, node.NotBefore(time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, string(r.ID()))
	}
	return ids
}

// answered executes a verb for people who answer a question.
func answered(t *testing.T, answer string, args ...string) (out, told string, err error) {
	t.Helper()
	var o, p bytes.Buffer
	c := command()
	c.SetIn(strings.NewReader(answer))
	c.SetOut(&o)
	c.SetErr(&p)
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	return o.String(), p.String(), err
}

// TestManyRunsAreEndedAndRetriedByTheirVerbs by a filter, which asks, and by
// their IDs, which does not.
func TestManyRunsAreEndedAndRetriedByTheirVerbs(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	addr := served(t, n, gateway.Config{})
	ids := pending(t, n, "naps", 4)
	cancel := []string{"run", "cancel", "--job", "naps", "--reason", "no need", "--addr", addr}
	if out, _, err := execute(t, append(cancel, "--dry-run", "-o", "name")...); err != nil || out != "4\n" {
		t.Errorf("got %q, %v, want four meant", out, err)
	}
	_, told, err := answered(t, "n\n", cancel...)
	if exitCode(err, false) != exitFailed || !strings.Contains(told, "This will cancel 4 runs of namespace default. Go on?") {
		t.Errorf("got %q, %v, want that it asks, and is told no", told, err)
	}
	shows(t, muster(t, n, "run", "get", ids[0]), "pending")
	out, told, err := answered(t, "yes\n", cancel...)
	if err != nil {
		t.Fatal(err)
	}
	shows(t, out, "OPERATION", "cancel", "done", "anybody", "no need")
	shows(t, told, "4 of 4 done")
	shows(t, muster(t, n, "run", "get", ids[0]), "canceled", "no need")

	out, told, err = execute(t, "run", "retry", ids[0], strings.TrimPrefix(ids[1], "default/"), "default/naps@never", "-o", "name", "--addr", addr)
	if exitCode(err, false) != exitFailed {
		t.Errorf("got %v, want that one could not be retried", err)
	}
	shows(t, told, "2 of 3 done", "1 refused", "default/naps@never: ", "no such run")
	shows(t, muster(t, n, "operation", "get", strings.TrimSpace(out)), "named: 3", "refused", "naps@never")
	muster(t, n, "run", "get", ids[1]+"#2")

	begun := strings.TrimSpace(muster(t, n, "run", "stop", "--job", "naps", "--yes", "--detach", "-o", "name"))
	shows(t, muster(t, n, "operation", "wait", begun), "stop", "done")
	shows(t, muster(t, n, "operation", "cancel", begun), "done")
	list := muster(t, n, "operation", "list", "--desc", "-o", "name")
	if got := strings.Fields(list); len(got) != 3 || !strings.Contains(list, begun) {
		t.Errorf("got %q, want three with %s", got, begun)
	}
	if list := muster(t, n, "operation", "list", "-A", "--state", "running"); strings.Contains(list, "default/") {
		t.Errorf("got %q, want none that goes on", list)
	}
}

// TestManyJobsArePausedAndDeletedByTheirVerbs and one that is not there is said.
func TestManyJobsArePausedAndDeletedByTheirVerbs(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	addr := served(t, n, gateway.Config{})
	for _, name := range []string{"a", "b"} {
		muster(t, n, "job", "put", name, "--processor", "sleep")
	}
	muster(t, n, "job", "pause", "a", "default/b", "--reason", "siesta")
	for _, name := range []string{"a", "b"} {
		shows(t, muster(t, n, "job", "get", name), "paused  ", "siesta")
	}
	muster(t, n, "job", "resume", "a", "b")
	_, told, err := execute(t, "job", "delete", "a", "b", "c", "--addr", addr)
	if exitCode(err, false) != exitFailed {
		t.Errorf("got %v, want that one could not be deleted", err)
	}
	shows(t, told, "2 of 3 done", "c: ", "no such job")
	if out := muster(t, n, "job", "list", "-o", "name"); out != "" {
		t.Errorf("got %q left", out)
	}
}

// TestAnOperationThatIsInterruptedGoesOn and says how to follow it again.
func TestAnOperationThatIsInterruptedGoesOn(t *testing.T) {
	n := agent(t, node.Config{Name: "alice"})
	addr := served(t, n, gateway.Config{})
	var told bytes.Buffer
	ctx, interrupt := context.WithCancel(t.Context())
	c := command()
	c.SetOut(&bytes.Buffer{})
	c.SetErr(writerFunc(func(b []byte) (int, error) {
		interrupt() // at the first sign of progress
		return told.Write(b)
	}))
	c.SetArgs([]string{"run", "stop", "a/x@1", "a/x@2", "--addr", addr})
	err := c.ExecuteContext(ctx)
	if exitCode(err, ctx.Err() != nil) != exitInterrupted && err != nil {
		t.Errorf("got %v, want that it was interrupted", err)
	}
	shows(t, told.String(), "The operation goes on", "muster operation wait a/", "muster operation cancel a/")
	page, err := n.Operations(t.Context(), job.OperationQuery{Namespace: "a"})
	if err != nil || len(page.Operations) != 1 {
		t.Fatalf("got %+v, %v, want one operation", page, err)
	}
	if o, err := n.WaitOperation(t.Context(), "a", page.Operations[0].ID); err != nil || o.State != job.OperationDone || o.Refused != 2 {
		t.Errorf("got %+v, %v, want it done", o, err)
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestBulksThatMakeNoSenseAreUsageErrors(t *testing.T) {
	addr := served(t, agent(t, node.Config{Name: "alice"}), gateway.Config{})
	for args, want := range map[string]string{
		"run cancel":                       "name the runs to cancel",
		"run retry --all --yes":            "name the runs to retry-all",
		"run stop x@1 --job x":             "not both",
		"run stop --from noon":             `--from "noon"`,
		"run stop a/x@1 b/x@1":             "Runs[1]",
		"run retry --state running":        "States has running",
		"run cancel --state lost":          "state",
		"job pause a/x b/y":                "name those of one at a time",
		"operation get":                    "get OPERATION",
		"operation list --state lost":      "state",
		"operation wait x y":               "wait OPERATION",
		"run retry --job x --dry-run -o x": `-o "x"`,
	} {
		_, _, err := execute(t, append(strings.Fields(args), "--addr", addr)...)
		if exitCode(err, false) != exitUsage || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: got %v, want a usage error about %q", args, err, want)
		}
	}
	if _, _, err := execute(t, "operation", "get", "never", "--addr", addr); exitCode(err, false) != exitNotFound || errors.Is(err, errUsage) {
		t.Errorf("got %v, want that there is none", err)
	}
}
