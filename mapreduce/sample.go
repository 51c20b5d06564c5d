package mapreduce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
)

// What a look at the input may read and carry. The windows are many and small,
// because inputs are often in some order: the first records of each split
// would all be from the same end of it.
const (
	sampleWindows = 256
	sampleWindow  = 64 << 10  // bytes of one window
	sampleValues  = 512 << 10 // bytes of inline values in all
	sampleFiles   = 64 << 20  // bytes of whole files in all
)

// SamplePayload returns the payload for SampleKeys of a run whose map tasks
// have the given payloads: small windows spread evenly over the whole input.
// The same payloads always give the same windows.
func SamplePayload(payloads [][]byte) ([]byte, error) {
	chosen := spread(payloads, sampleWindows)
	share := max(sampleWindows/max(len(chosen), 1), 1)
	valueBytes, fileBytes := int64(sampleValues), int64(sampleFiles) // that are left
	var windows [][]byte
	for i, payload := range chosen {
		kind, body, err := unwrap(payload)
		if err != nil {
			return nil, err
		}
		var some [][]byte
		switch left := int64(len(chosen) - i); kind {
		case kindValues:
			var used int64
			some, used, err = valueWindows(body, share, valueBytes/left)
			valueBytes -= used
		case kindSplit:
			var used int64
			some, used, err = splitWindows(body, share, fileBytes/left)
			fileBytes -= used
		default:
			err = Permanent(fmt.Errorf("mapreduce: a payload of kind %q can't be sampled", kind))
		}
		if err != nil {
			return nil, err
		}
		windows = append(windows, some...)
	}
	return parcel(kindSample, windows), nil
}

// SampleKeys maps the windows of t's payload, which SamplePayload made, and
// returns at most limit of the keys that were emitted, encoded and in order.
// Each window contributes about as many as any other. From them follow ranges
// of keys that have about as many pairs each. The same payload gives the same
// keys, if the mapper emits the same pairs.
func SampleKeys(ctx context.Context, k Keyed, t *Task, limit int) ([][]byte, error) {
	kind, body, err := unwrap(t.Payload)
	if err != nil {
		return nil, err
	}
	if kind != kindSample {
		return nil, Permanent(fmt.Errorf("mapreduce: payload of a look at the input is of kind %q: make it with SamplePayload", kind))
	}
	windows, err := items(body)
	if err != nil {
		return nil, Permanent(fmt.Errorf("mapreduce: payload of a look at the input: %w", err))
	}
	var keys [][]byte
	for i, window := range windows {
		// What an earlier window had too few keys for is left to later ones.
		quota := len(keys) + (limit-len(keys))/(len(windows)-i)
		if quota == len(keys) {
			continue
		}
		part := *t
		part.Payload = window
		err := k.MapShard(ctx, &part, func(key, _ []byte) error {
			keys = append(keys, bytes.Clone(key))
			if len(keys) >= quota {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	return keys, nil
}

var errEnough = errors.New("mapreduce: enough keys for a sample")

// valueWindows picks at most n values that have budget bytes together, each a
// window of its own, and returns how many they have. Larger ones are left out.
func valueWindows(body []byte, n int, budget int64) (windows [][]byte, used int64, err error) {
	values, err := items(body)
	if err != nil {
		return nil, 0, Permanent(fmt.Errorf("mapreduce: payload to sample: %w", err))
	}
	for _, v := range spread(values, n) {
		if size := int64(len(v)); used+size <= budget {
			windows = append(windows, parcel(kindValues, [][]byte{v}))
			used += size
		}
	}
	return windows, used, nil
}

// splitWindows picks at most n files of a split of whole files that have
// budget bytes together, or at most n stretches of a split of lines.
func splitWindows(body []byte, n int, budget int64) (windows [][]byte, used int64, err error) {
	split, err := decodeSplit(body)
	if err != nil {
		return nil, 0, err
	}
	picked := split.stretches(n)
	if split.Whole {
		picked = picked[:0]
		for _, r := range spread(split.Ranges, n) {
			if size := max(r.Length, 0); used+size <= budget {
				picked = append(picked, r)
				used += size
			}
		}
	}
	for _, r := range picked {
		b, err := SplitPayload(Split{Whole: split.Whole, Ranges: []Range{r}})
		if err != nil {
			return nil, 0, err
		}
		windows = append(windows, b)
	}
	return windows, used, nil
}

// stretches returns at most n pieces of s of one window each, evenly spaced.
// What can't be cut counts as one window; mapping it ends when there are keys
// enough.
func (s Split) stretches(n int) []Range {
	windows := make([]int64, len(s.Ranges))
	total := int64(0)
	for i, r := range s.Ranges {
		switch {
		case r.compressed() || r.Length < 0:
			windows[i] = 1
		case r.Length > 0:
			windows[i] = min((r.Length-1)/sampleWindow+1, 1<<32)
		}
		total += windows[i]
	}
	count := min(int64(n), total)
	some := make([]Range, 0, count)
	at, first := 0, int64(0) // the range that is looked at, and its first window
	for i := range count {
		window := i * total / count
		for window >= first+windows[at] {
			first += windows[at]
			at++
		}
		some = append(some, s.Ranges[at].window(window-first))
	}
	return some
}

// window returns the nth window of r.
func (r Range) window(n int64) Range {
	if !r.compressed() && r.Length > 0 {
		skip := n * sampleWindow
		r.Offset += skip
		r.Length = min(r.Length-skip, sampleWindow)
	}
	return r
}

// spread returns at most n of all, evenly spaced and in order.
func spread[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	some := make([]T, n)
	for i := range some {
		some[i] = all[i*len(all)/n]
	}
	return some
}

func items(body []byte) (all [][]byte, err error) {
	for len(body) > 0 {
		var item []byte
		if item, body, err = nextItem(body); err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}
