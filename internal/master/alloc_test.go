package master

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// TestATaskTakesLessThanOneAllocation conducts a run in which all goes well, with
// members that report many outcomes at a time. What is allocated is lists, for
// many tasks each.
func TestATaskTakesLessThanOneAllocation(t *testing.T) {
	const tasks, chunk, most = 20_000, 1024, 0.06
	p := pool{window: 8192, report: 500, held: map[string][]Placed{}}
	for i := range 3 {
		p.members = append(p.members, Member{Member: sharding.Member{ID: fmt.Sprint("n", i), Slots: 4}})
	}
	got := testing.AllocsPerRun(5, func() {
		p.m = New(&job.Run{ID: "n/j@1", Epoch: 1}, rand.New(rand.NewPCG(1, 2)))
		for n := 0; n < tasks; n += chunk {
			p.step(Tasks{Seq: uint64(n / chunk), N: min(chunk, tasks-n)})
		}
		p.step(Begin{Members: p.members})
		for _, k := range p.members {
			p.step(Window{k.ID, p.window})
		}
		if p.work(); p.state != job.Succeeded {
			t.Fatal(p.state)
		}
	})
	if got /= tasks; got > most {
		t.Errorf("a task takes %.3f allocations of its master, want at most %v", got, most)
	}
}
