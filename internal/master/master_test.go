package master

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
	"github.com/musterhq/muster/trigger"
)

var update = flag.Bool("update", false, "write what the master does into testdata")

// TestTranscripts replays testdata/*.txt. Lines that begin with a dash are
// effects, those with a colon say how the run is set up, all others are
// events. The files are the specification of a run.
func TestTranscripts(t *testing.T) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(f.Name(), ".txt"), func(t *testing.T) {
			name := "testdata/" + f.Name()
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(b))
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(b) {
				t.Errorf("got:\n%s\nwant:\n%s", got, b)
			}
		})
	}
}

func replay(t *testing.T, script string) string {
	var got strings.Builder
	d := &driver{t: t}
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "-") {
			continue
		}
		got.WriteString(line)
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		for _, e := range d.do(fields) {
			if s := describe(e); s != "" {
				fmt.Fprintf(&got, "- %s\n", s)
			}
		}
	}
	return got.String()
}

// driver turns the lines of a transcript into events.
type driver struct {
	t    *testing.T
	m    *Master
	now  time.Duration
	seq  uint64
	last map[string]Assign

	epoch uint64 // of what the journal says
}

func (d *driver) do(f []string) []Effect {
	switch f[0] {
	case "run:":
		d.m, d.now, d.seq, d.last = New(d.run(f[1:]), nil), 0, 0, map[string]Assign{}
		d.epoch = d.m.run.Epoch
		return nil
	case "after":
		d.now += d.duration(f[1])
		return d.step(Tick{})
	case "tasks":
		d.seq++
		return d.step(Tasks{Seq: d.seq - 1, N: d.int(f[1])})
	case "begin":
		var b Begin
		for _, s := range f[1:] {
			b.Members = append(b.Members, d.member(s))
		}
		return d.step(b)
	case "canceled": // canceled reason: begin for a run that somebody has cancelled
		return d.step(Begin{Canceled: strings.Join(f[1:], " ")})
	case "joined":
		return d.step(Joined{d.member(f[1])})
	case "left":
		return d.step(Left{f[1]})
	case "window":
		return d.step(Window{f[1], d.int(f[2])})
	case "undelivered", "broken": // the latter may have arrived
		return d.step(Undelivered{Member: f[1], Tasks: d.last[f[1]].Tasks, Sent: f[0] == "broken", Until: d.now + time.Second})
	case "cancel":
		return d.step(Cancel{strings.Join(f[1:], " ")})
	case "emit", "pairs": // emit m0#1 index n
		d.seq++
		id, n := d.attempt(f[1])
		return d.step(Staged{Task: id, Epoch: d.m.run.Epoch, Attempt: n, Index: d.int(f[2]), Seq: d.seq - 1, N: d.int(f[3]), Pairs: f[0] == "pairs"})
	case "had": // had a m0#1 ok: what the journal says
		id, n := d.attempt(f[2])
		return d.step(Recorded{Member: f[1], Epoch: d.epoch, Outcome: d.outcome(id, n, f[3:])})
	case "epoch": // of what the journal says next
		d.epoch = uint64(d.int(f[1]))
		return nil
	case "intended": // intended a/2 m0 m1, or intended - m0
		at := d.member(f[1])
		if f[1] == "-" {
			at = Member{}
		}
		return d.step(Intended{Epoch: d.epoch, Member: at.ID, Name: at.Name, Life: at.Life, Tasks: d.tasks(f[2:])})
	case "lost": // lost a m0 m1
		return d.step(Lost{Epoch: d.epoch, Name: f[1], Tasks: d.tasks(f[2:])})
	case "handed":
		return d.step(HandedOver{Epoch: d.epoch})
	}
	// a m0#1 ok: a report
	r := Reported{Member: f[0]}
	for _, part := range strings.Split(strings.Join(f[1:], " "), ",") {
		p := strings.Fields(part)
		id, n := d.attempt(p[0])
		r.Outcomes = append(r.Outcomes, d.outcome(id, n, p[1:]))
	}
	return d.step(r)
}

func (d *driver) step(e Event) []Effect {
	effects := d.m.Step(d.now, e)
	for _, e := range effects {
		if a, ok := e.(Assign); ok {
			d.last[a.Member] = a
		}
	}
	return effects
}

func (d *driver) run(opts []string) *job.Run {
	r := &job.Run{ID: "n/j@1", Epoch: 1, Spec: job.Spec{
		Retry: job.Retry{Attempts: 2, Backoff: trigger.Backoff{Initial: time.Second, Jitter: -1}},
	}}
	for _, o := range opts {
		k, v, _ := strings.Cut(o, "=")
		switch k {
		case "keyed":
			r.Plan.Keyed = true
		case "before":
			r.Plan.Before = true
		case "reduces":
			r.Plan.Reduces = d.int(v)
		case "nodes":
			r.Plan.Nodes = strings.Split(v, ",")
		case "tolerate":
			r.Spec.Tolerate.Count = d.int(v)
		case "share":
			r.Spec.Tolerate.Share, _ = strconv.ParseFloat(v, 64)
		case "timeout":
			r.Spec.RunTimeout = d.duration(v)
		case "attempt":
			r.Spec.AttemptTimeout = d.duration(v)
		case "task":
			r.Spec.TaskTimeout = d.duration(v)
		case "losses":
			r.Spec.Retry.Losses = d.int(v)
		case "attempts":
			r.Spec.Retry.Attempts = d.int(v)
		case "master":
			r.Master = v
		case "epoch":
			r.Epoch = uint64(d.int(v))
		case "tag":
			r.Spec.Placement.Tags = []string{v}
		default:
			d.t.Fatalf("unknown option %q", o)
		}
	}
	return r
}

// member reads "a", "a*4" for four slots, "a!reason" for one that is unfit,
// "a/2" for the second life of a.
func (d *driver) member(s string) Member {
	s, unfit, _ := strings.Cut(s, "!")
	s, slots, ok := strings.Cut(s, "*")
	id, life, again := strings.Cut(s, "/")
	m := Member{Member: sharding.Member{ID: id, Name: id, Slots: 1}, Unfit: strings.ReplaceAll(unfit, "_", " ")}
	if ok {
		m.Slots = d.int(slots)
	}
	if m.Life = 1; again {
		m.Life = uint64(d.int(life))
	}
	return m
}

func (d *driver) tasks(f []string) (ids []job.TaskID) {
	for _, s := range f {
		id, _ := d.attempt(s + "#0")
		ids = append(ids, id)
	}
	return ids
}

func (d *driver) outcome(id job.TaskID, n int, f []string) job.Outcome {
	o := job.Outcome{Task: id, Attempt: n}
	switch f[0] {
	case "ok":
		o.Result = []byte(strings.Join(f[1:], " "))
	case "err":
		o.Failure = &job.Failure{Reason: strings.Join(f[1:], " ")}
	case "permanent":
		o.Failure = &job.Failure{Reason: strings.Join(f[1:], " "), Permanent: true}
	case "again":
		o.Failure = &job.Failure{Reason: "come back", After: d.duration(f[1])}
	case "refused":
		o.Failure = &job.Failure{Reason: strings.Join(f[1:], " "), Refused: true}
	case "busy":
		o.Failure = &job.Failure{Reason: "come back", Refused: true, After: d.duration(f[1])}
	case "quarantined":
		o.Failure = &job.Failure{Reason: strings.Join(f[1:], " "), Permanent: true, Quarantined: true}
	case "lost":
		o.Failure = &job.Failure{Reason: "lost"}
		for _, s := range f[1:] {
			id, n := d.attempt(s)
			o.Failure.Lost = append(o.Failure.Lost, job.MapOutputID{Task: id.N, Epoch: d.m.run.Epoch, Attempt: n})
		}
	default:
		d.t.Fatalf("unknown outcome %q", f[0])
	}
	return o
}

func (d *driver) attempt(s string) (id job.TaskID, n int) {
	if _, err := fmt.Sscanf(s, "%c%d#%d", &id.Kind, &id.N, &n); err != nil {
		d.t.Fatalf("attempt %q: %v", s, err)
	}
	return id, n
}

func (d *driver) int(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

func (d *driver) duration(s string) time.Duration {
	v, err := time.ParseDuration(s)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

func describe(e Effect) string {
	var b strings.Builder
	switch e := e.(type) {
	case Record:
		fmt.Fprintf(&b, "record %s", e.Member)
		for _, o := range e.Outcomes {
			fmt.Fprintf(&b, " %v#%d", o.Task, o.Attempt)
			switch {
			case o.Failure == nil:
				b.WriteString(" ok")
			case o.Failure.Permanent:
				b.WriteString(" failed")
			default:
				b.WriteString(" err")
			}
		}
	case Assign:
		fmt.Fprintf(&b, "assign to %s:", e.Member)
		for _, p := range e.Tasks {
			fmt.Fprintf(&b, " %v#%d", p.ID, p.Attempt)
			if p.Parent.Kind != 0 {
				fmt.Fprintf(&b, "(of %v)", p.Parent)
			}
		}
		for _, s := range e.Sources {
			fmt.Fprintf(&b, " from %s", s.Node)
			for _, o := range s.Maps {
				fmt.Fprintf(&b, " m%d#%d", o.Task, o.Attempt)
			}
		}
		if len(e.Before) > 0 {
			fmt.Fprintf(&b, " with %s", e.Before)
		}
		if e.Lost {
			b.WriteString(" ahead")
		}
	case Recall:
		fmt.Fprintf(&b, "recall from %s: %s", e.Member, tasksOrAll(e.Tasks))
	case Intend:
		fmt.Fprintf(&b, "intend for %s%s", cmp.Or(e.Member, "elsewhere"), list(e.Tasks))
	case Lose:
		fmt.Fprintf(&b, "lose with %s%s", e.Name, list(e.Tasks))
	case Note:
		fmt.Fprintf(&b, "note: %s", e.Text)
	case Keep:
		b.WriteString("keep")
	case Refuse:
		fmt.Fprintf(&b, "refuse: %s", e.Reason)
	case Wake:
		fmt.Fprintf(&b, "wake at %v", e.At)
	case Finish:
		fmt.Fprintf(&b, "finish %v %s", e.State, e.Reason)
	}
	return strings.TrimSpace(b.String())
}

func list(ids []job.TaskID) (s string) {
	for _, id := range ids {
		s += " " + id.String()
	}
	return s
}

func tasksOrAll(ids []job.TaskID) string {
	if len(ids) == 0 {
		return "all"
	}
	return fmt.Sprint(ids)
}
