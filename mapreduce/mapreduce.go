// Package mapreduce is what you write: the code of a job, and nothing of what
// runs it.
//
// There are two ways to write a job. A MapReducer is plain Go over your own
// types: Map turns one record of the input into key-value pairs, Reduce folds
// all values of a key into one output. Of makes a Processor of it:
//
//	mapreduce.Registry{"wordcount": mapreduce.Of(wordCount{})}
//
// Where Reduce would only return what it is given, as in a sort, OfMap does
// without. A Processor is the other way: one task at a time, with everything a task can
// know and do. It may emit subtasks, to any depth, and fold the results of all
// of them (Reducing). Func makes one of a function.
//
// What a processor can do beyond that are small interfaces that it may
// implement too: Combiner, Reducing, Preparing, Versioned.
//
// Cutting the input, placing the tasks, moving and sorting the pairs and
// trying again what failed is the runtime's work. Because nodes fail it may
// run the same code on the same input more than once: effects outside of the
// run must bear repetition. What is inside is counted once, whatever happens:
// pairs, results, subtasks, and files made with Task.Create.
//
// Bytes that your code is given (Line.Text, a []byte record, key or value) are
// borrowed: they are valid until the iteration step or the call of Map or
// Reduce returns. Copy what you keep, or have it as a string.
//
// Local and LocalRun run the same code in one goroutine, without a cluster.
// They are how to test a job, and they say what a cluster must answer.
package mapreduce

import (
	"context"
	"iter"
)

// A Mapper turns one record of the input into pairs.
type Mapper[In, K, V any] interface {
	// Map calls emit for each pair, from its own goroutine and before it
	// returns. A pair that can't be stored cancels ctx with the cause and
	// fails the attempt, which is why emit returns nothing. An error fails the
	// attempt too; see Permanent and RetryAfter.
	Map(ctx context.Context, in In, emit func(K, V)) error
}

// A Reducer folds the values of one key.
type Reducer[K, V, Out any] interface {
	// Reduce is called once for each key of the run, in the order of the keys
	// within a partition. It sees each value of key once, in no particular
	// order. The values are streamed, so there may be more than fit in memory:
	// they can be ranged over once and before Reduce returns. The values not
	// looked at are skipped. A key and values that are []byte are valid until
	// Reduce returns, and may be what it returns.
	Reduce(ctx context.Context, key K, values iter.Seq[V]) (Out, error)
}

// A Combiner merges two values of a key on the node that emitted them, which
// saves moving both. A MapReducer may implement it too. Combine must be
// associative and commutative, because it is applied to any two values, as
// often as the runtime likes or not at all.
type Combiner[V any] interface {
	Combine(a, b V) V
}

// A MapReducer is the whole logic of a keyed job.
type MapReducer[In, K, V, Out any] interface {
	Mapper[In, K, V]
	Reducer[K, V, Out]
}
