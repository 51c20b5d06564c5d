package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/musterhq/muster/internal/shuffle"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/sharding"
)

// What a look at the input of a sorted run returns: so many keys for each
// partition, as far as there are not too few or too many of them in all.
const (
	samplePerPartition = 64
	leastSample        = 1 << 10
	mostSample         = 16 << 10
)

// sample looks at some of the input and returns where the partitions of a
// sorted run are to be cut.
func (a *attempt) sample() ([]byte, error) {
	n := a.batch.Run.Plan.Reduces
	limit := min(max(n*samplePerPartition, leastSample), mostSample)
	keys, err := mapreduce.SampleKeys(a.ctx, a.batch.processor.Keyed, &a.task, limit)
	if err != nil {
		return nil, err
	}
	b := encodeBounds(sharding.Bounds(keys, n))
	if most := a.w.cfg.MaxResult; int64(len(b)) > most {
		return nil, mapreduce.Permanent(fmt.Errorf("worker: the bounds of %d partitions have %d bytes and may have %d: ask for fewer Partitions", n, len(b), most))
	}
	return b, nil
}

// mapPairs maps the input of the task and commits its pairs as a map output.
func (a *attempt) mapPairs() error {
	k := a.batch.processor.Keyed
	cfg := shuffle.WriterConfig{Attempt: a.id(), Partitions: a.batch.Run.Plan.Reduces, Combine: combine(k)}
	var err error
	if cfg.Partition, err = a.partitioner(cfg.Partitions); err != nil {
		return err
	}
	words := k.Words()
	if words != nil {
		cfg.Words = &shuffle.Words{Combine: words.Combine, Append: words.Append, Alive: a.alive}
	}
	out, err := a.w.pairs.Writer(cfg)
	if err != nil {
		return err
	}
	defer out.Abort() // which does nothing once it is committed
	if words != nil {
		err = words.MapShard(a.ctx, &a.task, out.AddWords)
	} else {
		err = k.MapShard(a.ctx, &a.task, func(key, value []byte) error {
			if err := a.alive(); err != nil {
				return err
			}
			return out.Add(key, value)
		})
	}
	if err != nil {
		return err
	}
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	_, err = out.Commit()
	return err
}

// alive returns why the attempt was stopped, if it was.
func (a *attempt) alive() error {
	if a.stopped.Load() {
		return context.Cause(&a.life)
	}
	return nil
}

// partitioner returns what tells the partition of a key.
func (a *attempt) partitioner(n int) (func(key []byte) int, error) {
	if n < 1 {
		return nil, mapreduce.Permanent(fmt.Errorf("worker: run %s has %d partitions: want at least one", a.run.id, n))
	}
	if !a.batch.Run.Spec.Sorted {
		return func(key []byte) int { return sharding.Partition(key, n) }, nil
	}
	r, err := a.batch.ranges()
	if err == nil && len(r) >= n {
		err = fmt.Errorf("%d bounds do not fit %d partitions", len(r), n)
	}
	if err != nil {
		return nil, mapreduce.Permanent(fmt.Errorf("worker: bounds of run %s: %w", a.run.id, err))
	}
	return newCuts(r).partition, nil
}

func combine(k mapreduce.Keyed) shuffle.CombineFunc {
	if !k.CanCombine() {
		return nil
	}
	return k.Combine
}

// reducePairs reduces the task's partition, and writes the output to a file or
// hands it on.
func (a *attempt) reducePairs() error {
	r, k := a.batch.Run, a.batch.processor.Keyed
	if n := a.what.ID.N; n < 0 || n >= r.Plan.Reduces {
		return mapreduce.Permanent(fmt.Errorf("worker: run %s has no partition %d: it has %d", a.run.id, n, r.Plan.Reduces))
	}
	in, err := a.w.pairs.Read(a.ctx, shuffle.ReadConfig{
		Run: a.run.id, Partition: a.what.ID.N, Sources: a.batch.Sources, Combine: combine(k),
	})
	if err != nil {
		return err
	}
	defer in.Close()

	var out pairSink = &packer{a: a}
	if r.Spec.Output.Format != "" {
		if out, err = newPart(a, r.Spec.Output.Format); err != nil {
			return err
		}
	}
	if k.CanReduce() {
		err = a.reduceGroups(in, out)
	} else {
		err = a.passPairs(in, out)
	}
	// What a Reduce made of values that ended early is not worth a word: the
	// reason is that they did.
	if broken := in.Err(); broken != nil {
		return broken
	}
	if err != nil {
		return err
	}
	return out.close()
}

// reduceGroups has the user's Reduce make a pair of each group.
func (a *attempt) reduceGroups(in pairReader, out pairSink) error {
	ctx, cancel := context.WithCancelCause(a.ctx)
	defer cancel(nil)
	g := &groups{a: a, in: in, cancel: cancel}
	err := a.batch.processor.Keyed.ReduceGroups(ctx, &a.task, g.all(), out.add)
	a.Read(g.bytes)
	if err == nil && !g.over && in.Err() == nil {
		err = mapreduce.Permanent(errors.New("worker: the processor's ReduceGroups returned before its last group"))
	}
	return err
}

// passPairs passes every pair on as it is.
func (a *attempt) passPairs(in pairReader, out pairSink) error {
	bytes := int64(0)
	defer func() { a.Read(bytes) }()
	for key, value := range in.Pairs() {
		if err := a.alive(); err != nil {
			return err
		}
		if err := out.add(key, value); err != nil {
			return err
		}
		bytes += int64(len(key) + len(value))
	}
	return nil
}

// groups is the groups of a partition on their way to the user's code. They
// end early, and the context with them, when they can't be read or the attempt
// is stopped.
type groups struct {
	a      *attempt
	in     pairReader
	cancel context.CancelCauseFunc
	step   func([]byte) bool // next, as a value that can be passed on
	values iter.Seq[[]byte]  // of the group at hand
	yield  func([]byte) bool // who takes them
	bytes  int64
	over   bool // whether the last was handed out
}

func (g *groups) all() iter.Seq2[[]byte, iter.Seq[[]byte]] {
	each := g.each // made once for all groups, as step is
	g.step = g.next
	return func(yield func([]byte, iter.Seq[[]byte]) bool) {
		for key, values := range g.in.Groups() {
			if g.a.stopped.Load() {
				return
			}
			g.bytes += int64(len(key))
			g.values = values
			if !yield(key, each) {
				return
			}
		}
		g.over = true
		if err := g.in.Err(); err != nil {
			g.cancel(err)
		}
	}
}

// each hands out the values of the group at hand. The body of a range over
// them would be an allocation for each group.
func (g *groups) each(yield func([]byte) bool) {
	g.yield = yield
	g.values(g.step)
	g.yield = nil
	// The user's Reduce must not take the values that there were for all.
	if err := g.in.Err(); err != nil {
		g.cancel(err)
	}
}

func (g *groups) next(value []byte) bool {
	g.bytes += int64(len(value))
	return !g.a.stopped.Load() && g.yield(value)
}
