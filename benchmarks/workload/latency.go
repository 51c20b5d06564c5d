package workload

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/mapreduce"
)

// latencies collects how long things took.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration // guarded by mu
}

func (l *latencies) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = nil
}

func (l *latencies) since(t time.Time) {
	took := time.Since(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, took)
}

// Latencies returns what was collected.
func (l *latencies) Latencies() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// watched is a keyed processor whose map and reduce attempts are timed, each
// as a whole: reading its input, the user's code and the shuffle.
type watched struct {
	mapreduce.Processor
	mapreduce.Keyed
	took *latencies
}

// watch times the attempts of a processor that was made by mapreduce.Of.
func watch(p mapreduce.Processor, took *latencies) mapreduce.Processor {
	return watched{p, mapreduce.PowersOf(p).Keyed, took}
}

func (w watched) MapShard(ctx context.Context, t *mapreduce.Task, emit func(key, value []byte) error) error {
	if strings.HasPrefix(t.ID, "m") { // and not the look at a sample, which maps many small pieces
		defer w.took.since(time.Now())
	}
	return w.Keyed.MapShard(ctx, t, emit)
}

func (w watched) Words() *mapreduce.Words {
	words := w.Keyed.Words()
	if words == nil {
		return nil
	}
	timed := *words
	timed.MapShard = func(ctx context.Context, t *mapreduce.Task, emit mapreduce.EmitWords) error {
		defer w.took.since(time.Now())
		return words.MapShard(ctx, t, emit)
	}
	return &timed
}

func (w watched) ReduceGroups(ctx context.Context, t *mapreduce.Task, groups iter.Seq2[[]byte, iter.Seq[[]byte]], out func(key, value []byte) error) error {
	defer w.took.since(time.Now())
	return w.Keyed.ReduceGroups(ctx, t, groups, out)
}
