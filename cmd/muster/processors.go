package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/musterhq/muster/mapreduce"
)

// processors is what every agent can run.
func processors() mapreduce.Registry {
	return mapreduce.Registry{
		"wordcount": mapreduce.Of(wordCount{}),
		"index":     mapreduce.Of(invertedIndex{}),
		"fanout":    fanOut{},
		"sleep":     mapreduce.ProcessorFunc(sleep),
	}
}

// wordCount counts the words of lines.
type wordCount struct{}

func (wordCount) Map(_ context.Context, line []byte, emit func(string, int)) error {
	for word := range words(line) {
		emit(word, 1)
	}
	return nil
}

func (wordCount) Combine(a, b int) int { return a + b }

func (wordCount) Reduce(_ context.Context, _ string, counts iter.Seq[int]) (int, error) {
	sum := 0
	for n := range counts {
		sum += n
	}
	return sum, nil
}

// invertedIndex lists the files that each word is in.
type invertedIndex struct{}

func (invertedIndex) Map(_ context.Context, f mapreduce.File, emit func(string, string)) error {
	seen := map[string]bool{}
	for word := range words(f.Data) {
		if !seen[word] {
			seen[word] = true
			emit(word, f.Path)
		}
	}
	return nil
}

func (invertedIndex) Reduce(_ context.Context, _ string, files iter.Seq[string]) (posting, error) {
	all := slices.Sorted(files)
	return posting{Files: len(all), First: all[:min(len(all), 3)]}, nil
}

// posting is what the index says of a word: how many files it is in, and the
// first of them by name.
type posting struct {
	Files int      `msgpack:"files"`
	First []string `msgpack:"first"`
}

// words yields the words of text: runs of ASCII letters, digits and
// underscores, in lower case. It is what
//
//	LC_ALL=C grep -ohE '[A-Za-z0-9_]+' | LC_ALL=C tr A-Z a-z
//
// prints.
func words(text []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		var word []byte
		for i := 0; i <= len(text); i++ {
			if i < len(text) && lower[text[i]] != 0 {
				word = append(word, lower[text[i]])
				continue
			}
			if len(word) > 0 && !yield(string(word)) {
				return
			}
			word = word[:0]
		}
	}
}

// lower maps each byte of a word to its lower case, and all others to 0.
var lower = func() (t [256]byte) {
	for c := '0'; c <= '9'; c++ {
		t[c] = byte(c)
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = byte(c), byte(c)
	}
	t['_'] = '_'
	return t
}()

// fanOut emits as many tasks as its parameters ask for, and adds up what they
// return: it counts to the sum of their numbers if each counts once.
type fanOut struct{}

type fanOutParams struct {
	Tasks int `json:"tasks"` // how many; 0 means 1000
	Work  int `json:"work"`  // microseconds each takes
}

type fanOutSum struct {
	Tasks int   `msgpack:"tasks"`
	Sum   int64 `msgpack:"sum"`
}

func (fanOut) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	p := fanOutParams{Tasks: 1000}
	if t.Params != "" {
		if err := json.Unmarshal([]byte(t.Params), &p); err != nil {
			return nil, mapreduce.Permanent(fmt.Errorf("fanout: Params %q: %w", t.Params, err))
		}
	}
	if t.Parent == "" {
		for i := range p.Tasks {
			if err := t.Emit("number", i); err != nil {
				return nil, err
			}
		}
		return int64(-1), nil
	}
	var n int64
	if err := t.Decode(&n); err != nil {
		return nil, err
	}
	return n, rest(ctx, time.Duration(p.Work)*time.Microsecond)
}

func (fanOut) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	var sum fanOutSum
	for r := range results {
		var n int64
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		if n >= 0 {
			sum.Tasks++
			sum.Sum += n
		}
	}
	return sum, nil
}

// sleep waits as long as its parameters say, as in "1.5s".
func sleep(ctx context.Context, t *mapreduce.Task) (any, error) {
	d, err := time.ParseDuration(t.Params)
	if err != nil {
		return nil, mapreduce.Permanent(fmt.Errorf("sleep: Params %q: want a duration, as in 1.5s", t.Params))
	}
	return d.String(), rest(ctx, d)
}

func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
