package nodetest_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
	"github.com/musterhq/muster/trigger"
)

// lost is a cluster of three servers that is going to be lost.
type lost struct {
	*nodetest.Cluster
	t    *testing.T
	dirs [3]string
	ran  chan string   // runs of "tick"
	gate chan struct{} // holds "slow" until it is closed
}

func newLost(t *testing.T) *lost {
	l := &lost{t: t, ran: make(chan string, 100), gate: make(chan struct{})}
	began := make(chan struct{}, 100)
	r := mapreduce.Registry{
		"echo": echo,
		"tick": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
			l.ran <- task.Run
			return nil, nil
		}),
		"slow": mapreduce.Func(func(ctx context.Context, s string) (string, error) {
			began <- struct{}{}
			select {
			case <-l.gate:
				return s, nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}),
	}
	l.Cluster = three(t, 3, r, func(i int, cfg *node.Config) { l.dirs[i] = cfg.Dir })
	n := l.Node(0)
	l.put("nightly", "echo", trigger.Schedule{When: "0 3 * * *", Jitter: 30 * time.Minute})
	l.put("nightly", "echo", trigger.Schedule{When: "0 4 * * *", Jitter: 30 * time.Minute})
	l.put("hourly", "tick", trigger.Schedule{When: "0 * * * *", Misfire: trigger.MisfireAll, Overlap: trigger.OverlapQueueAll})
	wait(t, n, job.Spec{Name: "once", Processor: "echo", Input: job.Values("x")})
	if _, err := n.Submit(t.Context(), job.Spec{Name: "long", Processor: "slow", Input: job.Values("a", "b")}); err != nil {
		t.Fatal(err)
	}
	<-began
	return l
}

func (l *lost) put(name, processor string, s trigger.Schedule) {
	l.t.Helper()
	if _, err := l.Node(0).PutJob(l.t.Context(), job.Spec{Name: name, Processor: processor, Schedule: s}, 0); err != nil {
		l.t.Fatal(err)
	}
}

// known is what a cluster says of its jobs and of the runs that are over.
func (l *lost) known(n *node.Node) (all []string) {
	l.t.Helper()
	jobs, err := n.Jobs(l.t.Context(), "", "", 0)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, d := range jobs {
		next, err := n.NextFires(l.t.Context(), d.Spec.Namespace, d.Spec.Name, 3)
		if err != nil {
			l.t.Fatal(err)
		}
		revisions, err := n.Revisions(l.t.Context(), d.Spec.Namespace, d.Spec.Name)
		if err != nil {
			l.t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%+v %+v %+v", d, revisions, next))
	}
	runs, err := n.Runs(l.t.Context(), "", 0)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, run := range runs {
		if run.State.Done() {
			all = append(all, fmt.Sprintf("%+v", run))
		}
	}
	return all
}

// longRun returns the run that goes on.
func (l *lost) longRun(n *node.Node) job.RunID {
	l.t.Helper()
	runs, err := n.Runs(l.t.Context(), "", 0)
	if err != nil {
		l.t.Fatal(err)
	}
	i := slices.IndexFunc(runs, func(r job.Run) bool { return r.Spec.Name == "long" })
	if i < 0 {
		l.t.Fatalf("there is no run that goes on among %+v", runs)
	}
	return runs[i].ID
}

// restart begins anew with a backup at server i, which the others join.
func (l *lost) restart(i int, backup []byte) {
	l.t.Helper()
	for j := range 3 {
		l.Wipe(j)
	}
	made, err := node.Restore(l.dirs[i], bytes.NewReader(backup))
	if err != nil {
		l.t.Fatal(err)
	}
	l.Restart(i)
	if got := l.Node(i).ID(); got != made.ID {
		l.t.Errorf("got node %s, want %s", got, made.ID)
	}
}

// goesOn checks that the run that went on comes to its end, and others begin.
func (l *lost) goesOn(n *node.Node, id job.RunID) {
	l.t.Helper()
	close(l.gate)
	out, err := n.Run(id).Wait(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	var got []string
	for v, err := range mapreduce.Values[string](l.t.Context(), out) {
		if err != nil {
			l.t.Fatal(err)
		}
		got = append(got, v)
	}
	if !slices.Equal(got, []string{"a", "b"}) {
		l.t.Errorf("got %q of the run that went on, want a and b", got)
	}
	wait(l.t, n, job.Spec{Processor: "echo", Input: job.Values("y")})
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("number %d differs: got\n%q, want\n%q", i, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

// TestARestoredClusterIsTheSame loses all disks, and begins with a backup and
// empty directories.
func TestARestoredClusterIsTheSame(t *testing.T) {
	l := newLost(t)
	n := l.Node(2)
	_, text, err := n.CreateToken(t.Context(), job.Token{Name: "ci", Roles: map[string]job.Role{"default": job.Viewer}})
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	m, err := n.Backup(t.Context(), &backup)
	if err != nil || m.Index == 0 {
		t.Fatalf("got %+v, %v", m, err)
	}
	want, id := l.known(n), l.longRun(n)
	l.put("later", "echo", trigger.Schedule{When: "0 5 * * *"}) // which is lost
	for i := range 3 {
		l.Kill(i)
	}
	l.restart(0, backup.Bytes())
	same(t, l.known(l.Node(0)), want)
	for i := 1; i < 3; i++ {
		l.Restart(i)
	}
	l.Settle()
	same(t, l.known(l.Node(2)), want)
	if got, err := l.Node(1).Authenticate(t.Context(), text); err != nil || got.Name != "ci" {
		t.Errorf("got %+v, %v, want the token", got, err)
	}
	l.goesOn(l.Node(2), id)
}

// TestFiresBetweenBackupAndRestoreWereMissed restores a backup three hours
// later.
func TestFiresBetweenBackupAndRestoreWereMissed(t *testing.T) {
	l := newLost(t)
	var backup bytes.Buffer
	m, err := l.Node(0).Backup(t.Context(), &backup)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		l.Kill(i)
		l.Skew(i, 3*time.Hour)
	}
	close(l.gate)
	l.restart(0, backup.Bytes())
	due := map[string]bool{} // and not run yet
	for i := range 3 {
		due[string(job.FireID("default", "hourly", m.At.Truncate(time.Hour).Add(time.Duration(i+1)*time.Hour)))] = true
	}
	for ran := map[string]bool{}; len(due) > 0; {
		id := <-l.ran
		if ran[id] {
			t.Errorf("run %s was made twice", id)
		}
		ran[id] = true
		delete(due, id)
	}
}

// TestTheLastServerIsEnough loses two of three servers for good.
func TestTheLastServerIsEnough(t *testing.T) {
	l := newLost(t)
	last := leader(t, l.Cluster, 0)
	n := l.Node(last)
	want, id := l.known(n), l.longRun(n)
	for i := range 3 {
		l.Kill(i)
	}
	var backup bytes.Buffer
	if err := node.Rescue(l.dirs[last], t.TempDir(), &backup); err != nil {
		t.Fatal(err)
	}
	l.restart(last, backup.Bytes())
	same(t, l.known(l.Node(last)), want)
	l.goesOn(l.Node(last), id)
}
