package worker

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/shuffle"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
)

// What a failure may carry on its way to the master, and into the journal.
const (
	maxReason = 8 << 10 // bytes
	maxStack  = 4 << 10 // bytes
	maxLost   = 4096    // map outputs; the rest turn up in the next attempt
)

// failure says what err means for the task.
func failure(err error) *job.Failure {
	f := &job.Failure{Reason: cut(err.Error(), maxReason), Permanent: mapreduce.IsPermanent(err)}
	if d, ok := mapreduce.RetryDelay(err); ok {
		f.After = max(d, 0)
	}
	var lost *shuffle.LostError
	if errors.As(err, &lost) {
		f.Lost = lost.Outputs[:min(len(lost.Outputs), maxLost)]
	}
	return f
}

// fencedRest is how long a node that was cut off wants to be left alone.
const fencedRest = time.Second

// excuse says of a failure that it is the node's doing and not the task's, if
// the attempt was cancelled for such a cause.
func excuse(f *job.Failure, cause error) {
	switch {
	case errors.Is(cause, mapreduce.ErrStopping):
		f.Refused = true
	case errors.Is(cause, mapreduce.ErrFenced):
		f.Refused, f.After = true, fencedRest
	}
}

// broken says in words, and with the stack, how a processor ended that did not
// return: it panicked with v, or called runtime.Goexit if v is nil.
func broken(v any) string {
	what := "processor called runtime.Goexit: it should return an error"
	if v != nil {
		what = fmt.Sprintf("panic: %v", v)
	}
	return cut(what, maxReason-maxStack-2) + "\n\n" + cut(stack(), maxStack)
}

// stack is the stack of a goroutine that breaks, from where it broke to where
// the worker called the user's code.
func stack() string {
	s := string(debug.Stack())
	for _, mark := range []string{"\npanic(", "\nruntime.Goexit("} {
		if i := strings.LastIndex(s, mark); i >= 0 {
			s = s[i+1:]
			// Past the frame itself: its function, and its place in the file.
			for range 2 {
				_, s, _ = strings.Cut(s, "\n")
			}
		}
	}
	if i := strings.Index(s, "internal/worker.(*attempt).work("); i >= 0 {
		s = s[:strings.LastIndexByte(s[:i], '\n')+1]
	}
	return strings.TrimSpace(s)
}

// cut returns s as text, and its start if it is longer than n bytes.
func cut(s string, n int) string {
	const more = " ..."
	if len(s) > n {
		s = s[:n-len(more)] + more
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
