package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/mapreduce"
)

func TestTheWindowFollowsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := start(t, Config{Slots: 4, Processors: mapreduce.Registry{
			"slow": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
				time.Sleep(time.Second)
				return nil, nil
			}),
			"brisk": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) {
				time.Sleep(time.Millisecond)
				return nil, nil
			}),
			"quick": mapreduce.ProcessorFunc(noop),
		}}, nil)
		if got := w.Window("new"); got != 8 {
			t.Errorf("got %d for a run that is not known, want 8", got)
		}
		for _, test := range []struct {
			processor   string
			concurrency int
			tasks       int
			want        int
		}{
			{"slow", 0, 8, 8},
			{"slow", 2, 8, 4},
			{"slow", 99, 8, 8},
			{"brisk", 0, 8, 40},     // each that ended makes room for four more
			{"brisk", 0, 2000, 800}, // 200 ms at 4 a millisecond
			{"brisk", 2, 2000, 400},
			{"quick", 0, 100, 408},
			{"quick", 0, 10000, maxWindow},
		} {
			r := newTestRun("r", test.processor)
			r.Spec.Concurrency = test.concurrency
			r.Created = time.Now()
			take(t, w, r, mapTasks(0, test.tasks))
			h.await(r.ID, test.tasks)
			synctest.Wait()
			if got := w.Window(r.ID); got != test.want {
				t.Errorf("got %d after %d %s tasks, want %d", got, test.tasks, test.processor, test.want)
			}
			w.Forget(r.ID)
			delete(h.outcomes, r.ID)
			time.Sleep(time.Second)
		}

		busy, other := newTestRun("busy", "brisk"), newTestRun("other", "slow")
		take(t, w, busy, mapTasks(0, 2000))
		h.await("busy", 2000)
		take(t, w, other, mapTasks(0, 1))
		if got := w.Window("busy"); got != 400 {
			t.Errorf("got %d beside another run, want 400", got)
		}
		h.await("other", 1)
	})
}
