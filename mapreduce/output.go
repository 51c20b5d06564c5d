package mapreduce

import (
	"context"
	"iter"
)

// An Output is what a run returned: the pairs of a keyed run, or the results
// of the tasks of another. It is read from where it is kept each time it is
// ranged over, and may be larger than memory.
//
// Pairs and Collect read pairs; Value, Values and Results read results.
type Output struct {
	read func(ctx context.Context) iter.Seq2[Item, error]
}

// An Item is one piece of an Output, encoded.
type Item struct {
	// Task is the ID of the task that returned it, as in "m12" or "r3", and N
	// the task's number.
	Task string
	N    int
	// Key is the encoded key of a pair, and nil for a result.
	Key []byte
	// Value is the encoded value of a pair, or the encoded result. It may be
	// empty, for a task that returned nothing.
	Value []byte
	// Err is why the task failed, in a run that tolerates failures. Empty
	// means that it succeeded.
	Err string
}

// NewOutput returns an Output that is read by read. The items come in task
// order, pairs in key order within a task; their bytes are valid during the
// iteration step. An error ends the iteration.
func NewOutput(read func(ctx context.Context) iter.Seq2[Item, error]) Output {
	return Output{read}
}

// Items returns the pieces of o as they are kept. The bytes are valid until
// the next step.
func (o Output) Items(ctx context.Context) iter.Seq2[Item, error] {
	if o.read == nil {
		return func(func(Item, error) bool) {}
	}
	return o.read(ctx)
}
