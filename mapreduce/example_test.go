package mapreduce_test

import (
	"context"
	"fmt"
	"iter"
	"log"
	"strings"

	"github.com/musterhq/muster/mapreduce"
)

type wordCount struct{}

func (wordCount) Map(_ context.Context, line string, emit func(string, int)) error {
	for word := range strings.FieldsSeq(line) {
		emit(word, 1)
	}
	return nil
}

func (wordCount) Reduce(_ context.Context, _ string, ones iter.Seq[int]) (int, error) {
	n := 0
	for one := range ones {
		n += one
	}
	return n, nil
}

// Combine makes wordCount a Combiner: a node sends each of its words once.
func (wordCount) Combine(a, b int) int { return a + b }

// A word count is two methods of plain Go. Local runs them without a cluster.
func Example() {
	counts, err := mapreduce.Local(context.Background(), wordCount{}, "to be or", "not to be")
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range counts {
		fmt.Println(c.Key, c.Value)
	}
	// Output:
	// be 2
	// not 1
	// or 1
	// to 2
}

// A registry names what a node can run.
func ExampleOf() {
	registry := mapreduce.Registry{
		"wordcount": mapreduce.Of(wordCount{}),
	}
	fmt.Println(registry.Validate())
	// Output: <nil>
}

// Func makes a processor of a function from payload to result.
func ExampleFunc() {
	square := mapreduce.Func(func(_ context.Context, n int) (int, error) { return n * n, nil })

	ctx := context.Background()
	out, err := mapreduce.LocalRun(ctx, square, mapreduce.LocalOptions{Values: []any{1, 2, 3}})
	if err != nil {
		log.Fatal(err)
	}
	for n, err := range mapreduce.Values[int](ctx, out) {
		fmt.Println(n, err)
	}
	// Output:
	// 1 <nil>
	// 4 <nil>
	// 9 <nil>
}

// countdown emits a smaller task until there is none, and adds up what all of
// them returned.
type countdown struct{}

func (countdown) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	n := 3
	if err := t.Decode(&n); err != nil {
		return nil, err
	}
	if n > 1 {
		if err := t.Emit("smaller", n-1); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (countdown) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	sum := 0
	for r := range results {
		var n int
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		fmt.Printf("task %d returned %d\n", r.Task, n)
		sum += n
	}
	return sum, nil
}

// A Processor can emit subtasks and see the results of all of them.
func ExampleReducing() {
	ctx := context.Background()
	out, err := mapreduce.LocalRun(ctx, countdown{}, mapreduce.LocalOptions{})
	if err != nil {
		log.Fatal(err)
	}
	sum, err := mapreduce.Value[int](ctx, out)
	fmt.Println("sum", sum, err)
	// Output:
	// task 0 returned 3
	// task 1 returned 2
	// task 2 returned 1
	// sum 6 <nil>
}

// grep emits the lines that the run's parameters ask for, by their file.
type grep struct{}

func (grep) Map(ctx context.Context, line mapreduce.Line, emit func(string, string)) error {
	t, _ := mapreduce.TaskFrom(ctx)
	if strings.Contains(string(line.Text), t.Params) {
		emit(line.File, line.String())
	}
	return nil
}

func (grep) Reduce(_ context.Context, _ string, lines iter.Seq[string]) (int, error) {
	n := 0
	for range lines {
		n++
	}
	return n, nil
}

// TaskFrom gives Map and Reduce what the task knows.
func ExampleTaskFrom() {
	ctx := context.Background()
	out, err := mapreduce.LocalRun(ctx, mapreduce.Of(grep{}), mapreduce.LocalOptions{
		Splits: []mapreduce.Split{{Ranges: []mapreduce.Range{{Path: "mapreduce.go", Length: -1}}}},
		Params: "A Mapper turns",
	})
	if err != nil {
		log.Fatal(err)
	}
	for p, err := range mapreduce.Pairs[string, int](ctx, out) {
		fmt.Println(p.Key, p.Value, err)
	}
	// Output: mapreduce.go 1 <nil>
}
