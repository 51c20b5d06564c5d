// Command wordcount counts words on a cluster of one node, in this process.
//
//	go run ./examples/wordcount [FILE...]
package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

type wordCount struct{}

func (wordCount) Map(_ context.Context, line string, emit func(string, int)) error {
	for word := range strings.FieldsSeq(line) {
		emit(word, 1)
	}
	return nil
}

func (wordCount) Reduce(_ context.Context, _ string, ones iter.Seq[int]) (n int, err error) {
	for one := range ones {
		n += one
	}
	return n, nil
}

func count(ctx context.Context, input job.Input) (map[string]int, error) {
	n, err := node.Start(ctx, node.Config{Processors: mapreduce.Registry{"wordcount": mapreduce.Of(wordCount{})}})
	if err != nil {
		return nil, err
	}
	defer n.Stop(ctx)
	out, err := n.Do(ctx, job.Spec{Processor: "wordcount", Input: input})
	if err != nil {
		return nil, err
	}
	return mapreduce.Collect[string, int](ctx, out)
}

// run counts the words of files, or of a line of Shakespeare, and prints them.
func run(ctx context.Context, w io.Writer, files ...string) error {
	input := job.Values("to be or", "not to be")
	if len(files) > 0 {
		input = job.Lines(files...)
	}
	counts, err := count(ctx, input)
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintln(w, word, counts[word])
	}
	return err
}

func main() {
	ctx, done := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, os.Args[1:]...)
	done()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
