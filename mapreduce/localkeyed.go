package mapreduce

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/musterhq/muster/internal/codec"
)

// keyed maps the input, brings equal keys together by sorting all pairs, and
// reduces them.
func (r *localRun) keyed(ctx context.Context) error {
	if r.Shards > 0 || len(r.Nodes) > 0 {
		return fmt.Errorf("mapreduce: local run: %T maps and reduces by key: give it Values or Splits", r.processor)
	}
	payloads, err := r.mapPayloads()
	if err != nil {
		return err
	}
	partition, err := r.partitioner(ctx, payloads)
	if err != nil {
		return err
	}
	partitions := make([][]localPair, max(r.Partitions, 1))
	for n, payload := range payloads {
		pairs, err := r.mapTask(ctx, n, len(payloads), payload)
		if err != nil {
			if _, err := r.tolerate(err); err != nil {
				return err
			}
			continue
		}
		for _, p := range pairs {
			i := partition(p.key)
			partitions[i] = append(partitions[i], p)
		}
	}
	for n, pairs := range partitions {
		if err := r.reduceTask(ctx, n, pairs); err != nil {
			return err
		}
	}
	return nil
}

func (r *localRun) mapPayloads() (payloads [][]byte, err error) {
	var values [][]byte
	for i, v := range r.Values {
		b, err := codec.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("mapreduce: local run: Values[%d] of type %T: %w", i, v, err)
		}
		values = append(values, b)
	}
	perTask := r.ValuesPerTask
	if perTask <= 0 {
		perTask = len(values)
	}
	for len(values) > 0 {
		n := min(perTask, len(values))
		b, err := ValuesPayload(values[:n])
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, b)
		values = values[n:]
	}
	for _, s := range r.Splits {
		b, err := SplitPayload(s)
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, b)
	}
	if len(payloads) == 0 {
		return [][]byte{nil}, nil
	}
	return payloads, nil
}

// partitioner returns which partition a key belongs to: by range, if the run
// is sorted, else by hash.
func (r *localRun) partitioner(ctx context.Context, payloads [][]byte) (func(key []byte) int, error) {
	n := max(r.Partitions, 1)
	switch {
	case n == 1:
		return func([]byte) int { return 0 }, nil
	case !r.Sorted || len(payloads[0]) == 0:
		return func(key []byte) int {
			h := fnv.New32a()
			h.Write(key)
			return int(h.Sum32() % uint32(n))
		}, nil
	}
	bounds, err := r.bounds(ctx, payloads, n)
	if err != nil {
		return nil, err
	}
	return func(key []byte) int {
		i, equal := slices.BinarySearchFunc(bounds, key, bytes.Compare)
		if equal {
			i++
		}
		return i
	}, nil
}

// bounds returns the first keys of all partitions but the first.
func (r *localRun) bounds(ctx context.Context, payloads [][]byte, partitions int) ([][]byte, error) {
	const most = 20_000
	sample, err := SamplePayload(payloads)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	_, err = r.try(ctx, localTask{id: "b0", payload: sample}, func(ctx context.Context, t *Task) error {
		keys, err = SampleKeys(ctx, r.powers.Keyed, t, most)
		return err
	})
	if err != nil {
		return nil, err
	}
	var bounds [][]byte
	for i := 1; i < partitions && len(keys) > 0; i++ {
		bounds = append(bounds, keys[i*len(keys)/partitions])
	}
	return slices.CompactFunc(bounds, bytes.Equal), nil
}
