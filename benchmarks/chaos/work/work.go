// Package work is runs whose outcome is known before they are submitted, and
// the processors that do them.
//
// Every attempt notes in a ledger that it begins and how it ends. The
// processors compute nothing worth the time: tasks rest, so that there are
// always some in progress when a node is lost.
package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/ledger"
	"github.com/musterhq/muster/benchmarks/chaos/verdict"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// Registry is the processors, which note what they do in l.
func Registry(l *ledger.Ledger) mapreduce.Registry {
	return mapreduce.Registry{
		"fan":    fan{noted{l}},
		"square": noted{l}.processor(square),
		"whoami": noted{l}.processor(whoami),
		"count":  counted{mapreduce.PowersOf(counter).Keyed, counter, noted{l}},
		"echo":   mapreduce.ProcessorFunc(echo),
	}
}

// A Work is a run to submit, and what is to come of it.
type Work struct {
	Kind string
	Spec job.Spec
	// Want is what the run returns, item by item.
	Want map[string]string
	// Tasks is how many tasks the run has. Zero means as many as its plan
	// says.
	Tasks int
	// Noted says that each attempt is in the ledger.
	Noted bool
	// Everywhere says that the run has a task on each node of its plan, and
	// returns the name of each; a node that is gone has none.
	Everywhere bool
	// Keyed says that pairs travel between its tasks.
	Keyed bool
	read  func(ctx context.Context, out mapreduce.Output, got *Got) error
}

// Got is what a run returned.
type Got struct {
	Items []verdict.Item
	// Failed are the tasks that the run tolerated the failure of, by number,
	// and why they failed.
	Failed map[int]string
}

// Read reads what the run returned.
func (w *Work) Read(ctx context.Context, out mapreduce.Output) (Got, error) {
	got := Got{Failed: map[int]string{}}
	err := w.read(ctx, out, &got)
	return got, err
}

// noted makes attempts note what they do.
type noted struct{ l *ledger.Ledger }

func (n noted) processor(p mapreduce.ProcessorFunc) mapreduce.Processor {
	return mapreduce.ProcessorFunc(func(ctx context.Context, t *mapreduce.Task) (v any, err error) {
		err = n.do(ctx, t, func() (err error) { v, err = p(ctx, t); return err })
		return v, err
	})
}

// do notes that f begins and how it ends: if the attempt was called off
// meanwhile, with the cause of that.
func (n noted) do(ctx context.Context, t *mapreduce.Task, f func() error) error {
	end, err := n.l.Begin(t)
	if err != nil {
		return err
	}
	err = f()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("called off: %w", context.Cause(ctx))
	}
	return errors.Join(err, end(err))
}

// rest waits as long as a task of the given number rests: about d.
func rest(ctx context.Context, d time.Duration, number int) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d/2 + d*time.Duration(mix(uint64(number))%64)/64)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// valueOf is what the task of a number returns: nothing that could be right by
// chance, and short.
func valueOf(number int) int64 { return int64(mix(uint64(number)) >> 40) }

// mix spreads the bits of x over a word: it is the finalizer of MurmurHash3.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func params(t *mapreduce.Task, v any) error {
	if err := json.Unmarshal([]byte(t.Params), v); err != nil {
		return mapreduce.Permanent(fmt.Errorf("work: params %q: %w", t.Params, err))
	}
	return nil
}

func encode(params any) string {
	b, err := json.Marshal(params)
	if err != nil {
		panic(fmt.Sprintf("work: params %+v: %v", params, err)) // they are structs of numbers
	}
	return string(b)
}

func item(key int, value int64) verdict.Item {
	return verdict.Item{Key: strconv.Itoa(key), Value: strconv.FormatInt(value, 10)}
}
