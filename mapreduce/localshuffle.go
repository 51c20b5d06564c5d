package mapreduce

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
)

// A localPair is an encoded pair.
type localPair struct{ key, value []byte }

// sortPairs brings equal keys together. The values of a key stay in the order
// in which they were emitted.
func sortPairs(pairs []localPair) {
	slices.SortStableFunc(pairs, func(a, b localPair) int { return bytes.Compare(a.key, b.key) })
}

// mapTask returns the pairs of one map task.
func (r *localRun) mapTask(ctx context.Context, n, total int, payload []byte) (pairs []localPair, err error) {
	task := localTask{id: fmt.Sprintf("m%d", n), payload: payload, shard: Shard{Index: n, Total: total}}
	_, err = r.try(ctx, task, func(ctx context.Context, t *Task) error {
		pairs = nil
		err := r.powers.Keyed.MapShard(ctx, t, func(key, value []byte) error {
			pairs = append(pairs, localPair{bytes.Clone(key), bytes.Clone(value)})
			return nil
		})
		if err != nil || !r.Combine || !r.powers.Keyed.CanCombine() {
			return err
		}
		pairs, err = combine(r.powers.Keyed, pairs)
		return err
	})
	return pairs, err
}

// combine merges the values of each key into one.
func combine(k Keyed, pairs []localPair) ([]localPair, error) {
	sortPairs(pairs)
	var combined []localPair
	for _, p := range pairs {
		if len(combined) == 0 || !bytes.Equal(combined[len(combined)-1].key, p.key) {
			combined = append(combined, p)
			continue
		}
		last := &combined[len(combined)-1]
		value, err := k.Combine(nil, last.value, p.value)
		if err != nil {
			return nil, err
		}
		last.value = value
	}
	return combined, nil
}

// groups returns each key of sorted pairs with its values.
func groups(pairs []localPair) iter.Seq2[[]byte, iter.Seq[[]byte]] {
	return func(yield func([]byte, iter.Seq[[]byte]) bool) {
		for len(pairs) > 0 {
			n := 1
			for n < len(pairs) && bytes.Equal(pairs[n].key, pairs[0].key) {
				n++
			}
			group := pairs[:n]
			pairs = pairs[n:]
			values := func(yield func([]byte) bool) {
				for _, p := range group {
					if !yield(p.value) {
						return
					}
				}
			}
			if !yield(group[0].key, values) {
				return
			}
		}
	}
}

// reduceTask reduces one partition, to items of the output or to a file.
func (r *localRun) reduceTask(ctx context.Context, n int, pairs []localPair) error {
	sortPairs(pairs)
	task := localTask{id: fmt.Sprintf("r%d", n), shard: Shard{Index: n, Total: max(r.Partitions, 1)}}
	var reduced []byte
	_, err := r.try(ctx, task, func(ctx context.Context, t *Task) error {
		if r.Format != "" {
			return r.writePart(ctx, t, n, pairs)
		}
		reduced = nil
		return r.reduce(ctx, t, pairs, func(key, value []byte) error {
			reduced = AppendPair(reduced, key, value)
			return nil
		})
	})
	if err != nil {
		_, err = r.tolerate(err)
		return err
	}
	for item, err := range PairItems(task.id, n, reduced) {
		if err != nil {
			return err
		}
		r.output = append(r.output, item)
	}
	return nil
}

// reduce passes on what Reduce makes of sorted pairs, or the pairs themselves.
func (r *localRun) reduce(ctx context.Context, t *Task, pairs []localPair, out func(key, value []byte) error) error {
	if r.powers.Keyed.CanReduce() {
		return r.powers.Keyed.ReduceGroups(ctx, t, groups(pairs), out)
	}
	for _, p := range pairs {
		if err := out(p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}

func (r *localRun) writePart(ctx context.Context, t *Task, n int, pairs []localPair) error {
	f, err := t.Create(fmt.Sprintf("part-%05d", n))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	var line []byte
	err = r.reduce(ctx, t, pairs, func(key, value []byte) (err error) {
		if line, err = r.powers.Keyed.AppendText(line[:0], r.Format, key, value); err != nil {
			return err
		}
		_, err = w.Write(line)
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}
