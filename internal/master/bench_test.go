package master

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// BenchmarkRun conducts whole runs: tasks in chunks, members that report 500
// outcomes at a time with their window before each, as nodes do.
func BenchmarkRun(b *testing.B) {
	const tasks, chunk, window, report = 1_000_000, 1024, 8192, 500
	for _, c := range []struct {
		name           string
		members, chunk int
		keyed          bool
	}{
		{name: "plain", members: 3, chunk: chunk},
		{name: "keyed", members: 3, chunk: chunk, keyed: true},
		{name: "chunks-of-10", members: 3, chunk: 10},
		{name: "members-1000", members: 1000, chunk: chunk},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := pool{window: max(window*3/c.members, 100), report: min(report, max(report*3/c.members, 20)), held: map[string][]Placed{}}
			for i := range c.members {
				p.members = append(p.members, Member{Member: sharding.Member{ID: fmt.Sprintf("n%04d", i), Slots: 4}})
			}
			var inFlight, finished float64
			for b.Loop() {
				run := &job.Run{ID: "n/j@1", Epoch: 1}
				if c.keyed {
					run.Plan = job.Plan{Keyed: true, Reduces: 1}
				}
				before := inUse()
				p.m = New(run, rand.New(rand.NewPCG(1, 2)))
				for n := 0; n < tasks; n += c.chunk {
					p.step(Tasks{Seq: uint64(n / c.chunk), N: min(c.chunk, tasks-n)})
				}
				p.step(Begin{Members: p.members})
				for _, k := range p.members {
					p.step(Window{k.ID, p.window})
				}
				inFlight = float64(inUse()-before) / float64(p.m.Progress().Running)
				p.work()
				if got := p.m.Progress(); p.state != job.Succeeded || got.Done != got.Tasks || p.recorded != got.Tasks {
					b.Fatalf("%v with %+v and %d outcomes in the journal", p.state, got, p.recorded)
				}
				finished = float64(inUse()-before) / tasks
				runtime.KeepAlive(p.m)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/tasks, "ns/task")
			b.ReportMetric(inFlight, "B/task-in-flight")
			b.ReportMetric(finished, "B/task-finished")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// pool is members that succeed at whatever they are given.
type pool struct {
	m              *Master
	now            time.Duration
	members        []Member
	window, report int
	held           map[string][]Placed
	recorded       int
	state          job.State
}

func (p *pool) step(e Event) {
	for _, e := range p.m.Step(p.now, e) {
		switch e := e.(type) {
		case Assign:
			p.held[e.Member] = append(p.held[e.Member], e.Tasks...)
		case Record:
			p.recorded += len(e.Outcomes)
		case Finish:
			p.state = e.State
		}
	}
}

func (p *pool) work() {
	p.recorded, p.state = 0, 0
	for p.state == 0 {
		for _, k := range p.members {
			p.now += time.Millisecond
			held := p.held[k.ID]
			n := min(p.report, len(held))
			r := Reported{Member: k.ID, Outcomes: make([]job.Outcome, n)}
			for i, t := range held[:n] {
				r.Outcomes[i] = job.Outcome{Task: t.ID, Attempt: t.Attempt}
			}
			p.held[k.ID] = held[n:]
			p.step(Window{k.ID, p.window})
			p.step(r)
		}
	}
	clear(p.held)
}

func inUse() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
