package node_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestEveryRunOfManyKeysBegins has many runs come and end at the same time, of
// which those of a key wait for each other: none may be forgotten.
func TestEveryRunOfManyKeysBegins(t *testing.T) {
	const keys, each = 300, 5
	n := one(t, mapreduce.Registry{"nothing": mapreduce.ProcessorFunc(func(context.Context, *mapreduce.Task) (any, error) { return nil, nil })})
	specs := make([]job.Spec, each)
	for i := range specs {
		specs[i] = job.Spec{Processor: "nothing", Limits: []job.Limit{{By: job.ByKey, Running: 1}}, Retain: job.Retention{Runs: -1}}
	}
	var all []*node.Run
	for key := range keys {
		runs, err := n.SubmitAll(t.Context(), specs, node.LimitKey(fmt.Sprint(key)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, runs...)
	}
	if _, err := n.WaitAll(t.Context(), all); err != nil {
		t.Error(err)
	}
}
