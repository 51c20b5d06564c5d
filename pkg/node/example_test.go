package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// A node without any configuration is a cluster of one. The type wordCount has
// a Map from a line to its words, each with a one, and a Reduce that adds up
// the ones of a word; see the examples of package mapreduce.
func Example() {
	ctx := context.Background()
	n, err := node.Start(ctx, node.Config{Processors: mapreduce.Registry{
		"wordcount": mapreduce.Of(wordCount{}),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Stop(ctx)

	run, err := n.Submit(ctx, job.Spec{Processor: "wordcount", Input: job.Values("to be or", "not to be")})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := run.Wait(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	counts, err := mapreduce.Collect[string, int](ctx, out)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		fmt.Println(word, counts[word])
	}
	// Output:
	// be 2
	// not 1
	// or 1
	// to 2
}

// triangle emits a task for each number up to ten, and adds up what they
// return.
type triangle struct{}

func (triangle) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	if t.Name == "number" {
		var n int
		err := t.Decode(&n)
		return n, err
	}
	for n := range 10 {
		if err := t.Emit("number", n+1); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (triangle) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	sum := 0
	for r := range results {
		var n int
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		sum += n
	}
	return sum, nil
}

// Nodes that are told of one member of a cluster find the others by gossip. A
// task may emit more tasks, which are spread over all of them.
func Example_fanOut() {
	ctx := context.Background()
	processors := mapreduce.Registry{"triangle": triangle{}}
	a, err := node.Start(ctx, node.Config{Name: "a", Cluster: "triangle", Processors: processors})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Stop(ctx)
	b, err := node.Start(ctx, node.Config{Name: "b", Cluster: "triangle", Join: []string{a.Gossip()}, Processors: processors})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Stop(ctx)

	run, err := b.Submit(ctx, job.Spec{Processor: "triangle"})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := run.Wait(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	sum, err := mapreduce.Value[int](ctx, out)
	fmt.Println(sum, err)
	// Output: 55 <nil>
}

// A job that is due when an event arrives. The job has no input of its own, so
// the event is that; the filter has seen what it says. The event's ID is the key
// by which it is the same one if it is sent again.
func ExampleNode_Send() {
	ctx := context.Background()
	charged := make(chan string)
	n, err := node.Start(ctx, node.Config{Processors: mapreduce.Registry{
		"charge": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
			var e job.Event
			err := t.Decode(&e)
			charged <- e.ID + " " + string(e.Data)
			return nil, err
		}),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer n.Stop(ctx)

	when := trigger.Schedule{When: `event order.paid where "data.amount > 100"`}
	if _, err := n.PutJob(ctx, job.Spec{Name: "charge", Processor: "charge", Schedule: when}, 0); err != nil {
		fmt.Println(err)
		return
	}
	for id, data := range map[string]string{"o-1": `{"amount": 120}`, "o-2": `{"amount": 5}`} {
		if _, err := n.Send(ctx, job.Event{Name: "order.paid", ID: id, Data: json.RawMessage(data)}); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(<-charged)
	again, err := n.Send(ctx, job.Event{Name: "order.paid", ID: "o-1"})
	fmt.Println(again.Known, err)
	// Output:
	// o-1 {"amount": 120}
	// true <nil>
}
