package worker

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// summing sums up the results of all tasks.
type summing struct{ mapreduce.ProcessorFunc }

func (summing) Before(context.Context, *mapreduce.Task) (any, error) { return "begin", nil }

func (summing) Reduce(ctx context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	sum := 0
	for r := range results {
		var n int
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		sum += n
	}
	return sum, ctx.Err()
}

func TestAReduceSeesAllResultsOrFails(t *testing.T) {
	h := newHost()
	for i := range 10 {
		b, _ := mapreduce.Encode(i)
		h.results = append(h.results, mapreduce.NewResult(i, b, ""))
	}
	w, _ := start(t, Config{Host: h, Processors: mapreduce.Registry{"sum": summing{noop}}}, nil)
	r := newTestRun("r", "sum")
	want, _ := mapreduce.Encode(45)
	if o := one(t, w, h, r, tasks(job.KindReduce, 0, 1)[0]); o.Failure != nil || !bytes.Equal(o.Result, want) {
		t.Errorf("got %+v with %+v, want 45", o, o.Failure)
	}
	take(t, w, r, tasks(job.KindBefore, 0, 1))
	want, _ = mapreduce.Encode("begin")
	if o := h.await("r", 2)[1]; !bytes.Equal(o.Result, want) {
		t.Errorf("got %+v from the step before", o)
	}
	h.broken = errors.New("journal cut off")
	take(t, w, r, tasks(job.KindReduce, 1, 1))
	if o := h.await("r", 3)[2]; o.Failure == nil || !strings.Contains(o.Failure.Reason, "journal cut off") {
		t.Errorf("got %+v, want it to fail for its input", o)
	}
}
