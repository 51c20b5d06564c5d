package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// heard is what a task saw of what its run is due for.
type heard struct {
	run, id, data string
	node          string // that executed it
	extra         map[string]string
}

// listens returns a processor that tells what each of its tasks saw.
func listens(to chan<- heard) mapreduce.Registry {
	return mapreduce.Registry{"hear": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		h := heard{run: t.Run, extra: t.Extra, node: t.Node}
		var e job.Event
		if err := t.Decode(&e); err == nil {
			h.id, h.data = e.ID, string(e.Data)
		}
		to <- h
		return nil, nil
	})}
}

func put(t *testing.T, n *node.Node, name, when string) {
	t.Helper()
	if _, err := n.PutJob(t.Context(), job.Spec{Name: name, Processor: "hear", Schedule: trigger.Schedule{When: when}}, 0); err != nil {
		t.Fatal(err)
	}
}

func sendEvent(t *testing.T, n *node.Node, name, id, data string) node.Sent {
	t.Helper()
	s, err := n.Send(t.Context(), job.Event{Name: name, ID: id, Data: json.RawMessage(data)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnEventMakesARunOfEachJobThatListens(t *testing.T) {
	to := make(chan heard, 100)
	n := start(t, node.Config{Logger: quiet, Processors: listens(to)})
	if s := sendEvent(t, n, "order.paid", "early", `{}`); s.Jobs != 0 {
		t.Errorf("%d jobs listen before there is one", s.Jobs)
	}
	put(t, n, "charge", "event order.paid")
	put(t, n, "large", `event order.paid where "data.amount > 100"`)
	if s := sendEvent(t, n, "order.paid", "o-1", `{"amount": 120}`); s.Jobs != 2 || s.Known {
		t.Errorf("got %+v, want it told to both jobs", s)
	}
	jobs := []string{}
	for range 2 {
		h := <-to
		jobs = append(jobs, job.RunID(h.run).Job())
		if h.id != "o-1" || h.data != `{"amount": 120}` || h.extra["event.data"] != h.data || h.extra["event.name"] != "order.paid" || h.extra["event.count"] != "1" {
			t.Errorf("the task of %s saw %+v", h.run, h)
		}
	}
	if slices.Sort(jobs); !slices.Equal(jobs, []string{"charge", "large"}) {
		t.Errorf("got runs of %q", jobs)
	}
	if s := sendEvent(t, n, "order.paid", "o-1", `{"amount": 120}`); !s.Known {
		t.Errorf("sent again it is %+v, want it known", s)
	}
	sendEvent(t, n, "order.paid", "o-2", `{"amount": 5}`)
	if h := <-to; job.RunID(h.run).Job() != "charge" || h.id != "o-2" {
		t.Errorf("the small order made %+v", h)
	}
	for { // the other job has read it too, sooner or later
		d, err := n.Job(t.Context(), "", "large")
		if err != nil {
			t.Fatal(err)
		}
		if d.Fires.Refused["filter"] == 1 && d.Fires.Waiting == 0 && d.Fires.Runs == 1 {
			break
		}
	}
	run, err := n.Run(job.RunID((<-sentTo(n, t, to)).run)).Get(t.Context())
	if err != nil || run.Origin != trigger.ReasonEvent || run.Revision != 1 {
		t.Errorf("got %+v, %v", run, err)
	}
}

// sentTo sends one more event and returns the channel that hears of it.
func sentTo(n *node.Node, t *testing.T, to chan heard) chan heard {
	t.Helper()
	sendEvent(t, n, "order.paid", "", `{"amount": 1}`)
	return to
}

func TestABatchOfEventsIsTheInputOfOneRun(t *testing.T) {
	to := make(chan heard, 100)
	n := start(t, node.Config{Logger: quiet, Processors: listens(to)})
	put(t, n, "load", "event row batch(3, 1h)")
	for i := range 6 {
		sendEvent(t, n, "row", fmt.Sprint("r", i), fmt.Sprint(`{"n":`, i, `}`))
	}
	runs := map[string][]string{}
	for range 6 {
		h := <-to
		runs[h.run] = append(runs[h.run], h.id)
		if h.extra["event.count"] != "3" {
			t.Errorf("a task of %s saw %+v", h.run, h.extra)
		}
	}
	var all []string
	for _, ids := range runs {
		slices.Sort(ids)
		all = append(all, strings.Join(ids, " "))
	}
	if slices.Sort(all); !slices.Equal(all, []string{"r0 r1 r2", "r3 r4 r5"}) {
		t.Errorf("the runs have the events %q", all)
	}
}

// The records of so many runs at once would not fit into one command.
func TestManyEventsAreHeardByAJobWithLargeParams(t *testing.T) {
	const all = 100
	to := make(chan heard, all)
	n := start(t, node.Config{Logger: quiet, Processors: listens(to)})
	spec := job.Spec{Name: "j", Processor: "hear", Params: strings.Repeat("x", job.MaxParams), Schedule: trigger.Schedule{When: "event e", OnResume: trigger.MisfireAll}}
	if _, err := n.PutJob(t.Context(), spec, 0); err != nil {
		t.Fatal(err)
	}
	if err := n.PauseJob(t.Context(), "", "j", "until all are there"); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		sendEvent(t, n, "e", fmt.Sprint(i), "")
	}
	if err := n.ResumeJob(t.Context(), "", "j"); err != nil {
		t.Fatal(err)
	}
	for range all {
		<-to
	}
}

func TestEventsOfAPauseAreSkippedAndThoseBeforeItsEndCounted(t *testing.T) {
	to := make(chan heard, 100)
	n := start(t, node.Config{Logger: quiet, Processors: listens(to)})
	put(t, n, "j", "event e")
	if err := n.PauseJob(t.Context(), "", "j", "enough"); err != nil {
		t.Fatal(err)
	}
	sendEvent(t, n, "e", "paused", "")
	if err := n.ResumeJob(t.Context(), "", "j"); err != nil {
		t.Fatal(err)
	}
	sendEvent(t, n, "e", "resumed", "")
	if h := <-to; h.id != "resumed" {
		t.Errorf("got a run of %q", h.id)
	}
	if d, err := n.Job(t.Context(), "", "j"); err != nil || d.Fires.Skipped["paused"] != 1 {
		t.Errorf("got %+v, %v", d.Fires, err)
	}
}

func TestAJobRunsAfterTheJobsThatItDependsOn(t *testing.T) {
	to := make(chan heard, 100)
	n := start(t, node.Config{Logger: quiet, Processors: listens(to)})
	put(t, n, "report", "upstream all of load, clean by latest within 1h")
	put(t, n, "load", "manual")
	put(t, n, "clean", "manual")
	runs := map[string]string{}
	for _, name := range []string{"load", "clean"} {
		r, err := n.RunJob(t.Context(), "", name)
		if err != nil {
			t.Fatal(err)
		}
		runs[name] = string(r.ID())
		if h := <-to; h.run != runs[name] {
			t.Fatalf("got %s, want %s", h.run, runs[name])
		}
	}
	h := <-to
	if job.RunID(h.run).Job() != "report" || h.extra["upstream.load"] != runs["load"] || h.extra["upstream.clean"] != runs["clean"] {
		t.Errorf("got %+v after %v", h, runs)
	}
	if run, err := n.Run(job.RunID(h.run)).Get(t.Context()); err != nil || run.Origin != trigger.ReasonDependency {
		t.Errorf("got %+v, %v", run, err)
	}
}

func TestAJobRunsWhenANodeComes(t *testing.T) {
	to := make(chan heard, 100)
	n := start(t, node.Config{Name: "first", Logger: quiet, Processors: listens(to)})
	put(t, n, "greet", "lifecycle join")
	put(t, n, "miss", "lifecycle leave")
	second := start(t, node.Config{Name: "second", Logger: quiet, Processors: listens(to), Join: []string{n.Gossip()}})
	h := <-to
	for h.extra["node.name"] == "first" { // it may be noted after the job is declared that this one came
		h = <-to
	}
	if job.RunID(h.run).Job() != "greet" || h.extra["node.id"] != second.ID() || h.extra["node.name"] != "second" || h.extra["node.what"] != "join" || h.node != "second" {
		t.Errorf("got %+v when a node came", h)
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := <-to; job.RunID(h.run).Job() != "miss" || h.extra["node.name"] != "second" {
		t.Errorf("got %+v when it went", h)
	}
}

func TestEventsThatCantBeAreRefused(t *testing.T) {
	n := one(t, mapreduce.Registry{"echo": echo})
	for _, c := range []struct {
		e    job.Event
		want string
	}{
		{job.Event{}, `Name ""|1 to 200 characters`},
		{job.Event{Name: "a b"}, `Name "a b"|without spaces`},
		{job.Event{Name: "e", ID: strings.Repeat("i", 201)}, "ID|at most 200 bytes"},
		{job.Event{Name: "e", Data: json.RawMessage("{")}, "Data is no JSON"},
		{job.Event{Name: "e", Data: json.RawMessage(`"` + strings.Repeat("x", 64<<10) + `"`)}, "Data has 65538 bytes|limit of 65536"},
	} {
		_, err := n.Send(t.Context(), c.e)
		says(t, err, strings.Split(c.want, "|")...)
	}
}

func TestAJobIsNotDueAfterItself(t *testing.T) {
	n := one(t, mapreduce.Registry{"hear": echo})
	put(t, n, "b", "upstream a on done") // which may be declared later
	put(t, n, "c", "upstream any of b, x")
	for name, want := range map[string]string{"b": "a", "c": "x"} {
		if d, err := n.Job(t.Context(), "", name); err != nil || !slices.Equal(d.Missing, []string{want}) {
			t.Errorf("job %s lacks %q, %v, want %s", name, d.Missing, err, want)
		}
	}
	for name, path := range map[string]string{"a": "a after c after b after a", "self": "self after self"} {
		when := "upstream c"
		if name == "self" {
			when = "upstream self"
		}
		_, err := n.PutJob(t.Context(), job.Spec{Name: name, Processor: "hear", Schedule: trigger.Schedule{When: when}}, 0)
		says(t, err, "due after itself", path, "leave one of them out")
	}
}
