package mapreduce

import "errors"

// Why the context of an attempt ends before the attempt does. The error that
// context.Cause returns wraps one of these and tells more; errors.Is tells
// them apart. Whatever the cause, nothing that the attempt does from then on
// counts, and it should return soon: what does not return within a time of
// grace is abandoned.
var (
	// ErrCanceled says that the run does not want the attempt any more: it was
	// cancelled or has ended, another attempt at the task was first, or the
	// task is out of time.
	ErrCanceled = errors.New("mapreduce: the attempt was called off")
	// ErrTimeout says that the attempt took longer than the job's
	// AttemptTimeout. The error is a context.DeadlineExceeded as well.
	ErrTimeout = errors.New("mapreduce: the attempt took too long")
	// ErrFenced says that the attempt may be made elsewhere by now: the master
	// that placed it was replaced, or the node was cut off from the cluster.
	// Whoever changes something outside should do so no more.
	ErrFenced = errors.New("mapreduce: the attempt was fenced")
	// ErrStopping says that the node stops. The task is done elsewhere, or
	// when the node is back.
	ErrStopping = errors.New("mapreduce: the node is stopping")
)
