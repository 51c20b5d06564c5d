package node_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// TestAJobIsReadWithTheValuesOfItsInput whether they are a task each or shared
// out to those of a keyed run.
func TestAJobIsReadWithTheValuesOfItsInput(t *testing.T) {
	n := start(t, node.Config{Logger: quiet, Processors: mapreduce.Registry{"echo": echo, "count": mapreduce.Of(wordCount{})}})
	var many []any
	for i := range 3000 {
		many = append(many, strings.Repeat(fmt.Sprint(i, " "), i%50))
	}
	for name, spec := range map[string]job.Spec{
		"tasks": {Processor: "echo", Input: job.Input{Values: many}},
		"keyed": {Processor: "count", Input: job.Input{Values: many}},
		"empty": {Processor: "echo", Input: job.Input{Values: []any{}}},
		"none":  {Processor: "echo"},
	} {
		spec.Name = name
		if _, err := n.PutJob(t.Context(), spec, 0); err != nil {
			t.Fatal(err)
		}
		d, err := n.JobWithValues(t.Context(), "", name)
		if err != nil || !reflect.DeepEqual(d.Spec.Input.Values, spec.Input.Values) || d.Inline != (spec.Input.Values != nil) {
			t.Errorf("%s: got %d values, inline %v, %v, want %d", name, len(d.Spec.Input.Values), d.Inline, err, len(spec.Input.Values))
		}
	}
}
