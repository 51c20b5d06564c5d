package node_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestOptionsOfManyRunsMayDifferFromRunToRun though the specs are the same: those
// are recorded together that come out the same but for their Params.
func TestOptionsOfManyRunsMayDifferFromRunToRun(t *testing.T) {
	n := one(t, mapreduce.Registry{"extra": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		return t.Params + t.Extra["n"], nil
	})})
	count := 0
	tens := func(r *job.Run) { // the first ten have one Extra, the next ten another
		r.Extra = map[string]string{"n": strconv.Itoa(count / 10)}
		r.Spec.Params += "-"
		count++
	}
	specs := make([]job.Spec, 35)
	for i := range specs {
		specs[i] = job.Spec{Processor: "extra", Params: strconv.Itoa(i)}
	}
	runs, err := n.SubmitAll(t.Context(), specs, node.Tags("tour"), tens)
	if err != nil {
		t.Fatal(err)
	}
	outs, err := n.WaitAll(t.Context(), runs)
	if err != nil {
		t.Fatal(err)
	}
	lots := map[job.RunID]int{}
	for i, out := range outs {
		want := strconv.Itoa(i) + "-" + strconv.Itoa(i/10)
		if got, err := mapreduce.Value[string](t.Context(), out); err != nil || got != want {
			t.Errorf("run %d returned %q, %v, want %q", i, got, err, want)
		}
		lot, _, ok := job.LotOf(runs[i].ID())
		if !ok {
			t.Errorf("run %d is by itself: %s", i, runs[i].ID())
		}
		lots[lot]++
	}
	if count != len(specs) || len(lots) != 4 {
		t.Errorf("the option was asked %d times, and there are %d lots, want %d and 4", count, len(lots), len(specs))
	}
}
