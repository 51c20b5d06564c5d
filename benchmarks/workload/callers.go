package workload

import (
	"context"
	"sync"
	"sync/atomic"
)

// share has callers call each for the numbers from first up to and without end,
// which is at most together of those below n, until all are done or one failed.
func share(ctx context.Context, n, callers, together int, each func(ctx context.Context, caller, first, end int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var calling sync.WaitGroup
	for c := range callers {
		calling.Go(func() {
			for ctx.Err() == nil {
				first := int(next.Add(int64(together))) - together
				if first >= n {
					return
				}
				if err := each(ctx, c, first, min(first+together, n)); err != nil {
					cancel(err)
				}
			}
		})
	}
	calling.Wait()
	return context.Cause(ctx)
}
