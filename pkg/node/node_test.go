package node_test

import (
	"context"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

type wordCount struct{}

func (wordCount) Map(_ context.Context, line string, emit func(string, int)) error {
	for w := range strings.FieldsSeq(line) {
		emit(w, 1)
	}
	return nil
}

func (wordCount) Reduce(_ context.Context, _ string, ones iter.Seq[int]) (n int, err error) {
	for one := range ones {
		n += one
	}
	return n, nil
}

func start(t *testing.T, cfg node.Config) *node.Node {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	n, err := node.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := n.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return n
}

func TestZeroConfigurationCountsWords(t *testing.T) {
	n := start(t, node.Config{Processors: mapreduce.Registry{"wordcount": mapreduce.Of(wordCount{})}})
	run, err := n.Submit(t.Context(), job.Spec{Processor: "wordcount", Input: job.Values("to be or", "not to be")})
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts, err := mapreduce.Collect[string, int](t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if len(counts) != 4 || counts["to"] != 2 || counts["be"] != 2 || counts["or"] != 1 || counts["not"] != 1 {
		t.Errorf("got %v, want to:2 be:2 or:1 not:1", counts)
	}
}
