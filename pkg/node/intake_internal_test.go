package node

import (
	"context"
	"testing"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// TestWhoEmitsWaitsForTheDiskOnlyWhenMuchDoes keeps a master from writing while a
// task emits. What it emits first is taken in all the same, and what comes when
// much waits to be written is not.
func TestWhoEmitsWaitsForTheDiskOnlyWhenMuchDoes(t *testing.T) {
	began, begin, emitted, end := make(chan struct{}, 1), make(chan struct{}), make(chan error, 2), make(chan struct{})
	const few = 3 * wire.ChunkTasks
	emit := func(task *mapreduce.Task) error {
		for i := range few {
			if err := task.Emit("", i); err != nil {
				return err
			}
		}
		return nil
	}
	nodes := servers(t, 1, func(_ int, cfg *Config) {
		cfg.Slots = 2
		cfg.Processors = mapreduce.Registry{"emits": mapreduce.ProcessorFunc(func(_ context.Context, task *mapreduce.Task) (any, error) {
			switch {
			case task.Parent != "":
				return nil, nil
			case task.Shard.Index > 0: // so that the run has more than one task
				<-end
				return nil, nil
			}
			began <- struct{}{}
			for range 2 {
				<-begin
				emitted <- emit(task)
			}
			return nil, nil
		})}
	})
	n, _ := leads(t, nodes)
	r, err := n.Submit(t.Context(), job.Spec{Processor: "emits", Mode: job.Sharded, Shards: 2})
	if err != nil {
		t.Fatal(err)
	}
	<-began
	c, err := n.masters.find(r.ID())
	if err != nil {
		t.Fatal(err)
	}
	// do has the conductor do something between two events, once it is not writing.
	do := func(f func() bool) {
		for done := make(chan bool, 1); ; {
			c.inbox.put(func() { done <- f() })
			if <-done {
				return
			}
		}
	}
	do(func() bool {
		if c.busy {
			return false
		}
		c.busy = true
		return true
	})
	begin <- struct{}{}
	if err := <-emitted; err != nil {
		t.Fatal(err)
	}
	do(func() bool {
		if len(c.next.entries) < 3 || len(c.next.acks) > 0 {
			t.Errorf("%d chunks were taken in and %d wait for the disk, want 3 and none", len(c.next.entries), len(c.next.acks))
		}
		c.going.bytes = maxUnwritten
		return true
	})
	begin <- struct{}{}
	do(func() bool { return len(c.next.acks) > 0 })
	do(func() bool {
		c.going, c.busy = batch{}, false // the next is written
		return true
	})
	if err := <-emitted; err != nil {
		t.Fatal(err)
	}
	close(end)
	if _, err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := r.Progress(t.Context())
	if want := 2*few + 2; err != nil || p.Done != want {
		t.Errorf("got %d tasks done, %v, want %d", p.Done, err, want)
	}
}
