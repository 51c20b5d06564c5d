package side

import (
	"context"
	"math/rand/v2"
	"time"
)

// pause is how long nothing goes on between two tasks whose latency is taken,
// at least; up to as much more, so that no two fall into the step of a timer.
const pause = 10 * time.Millisecond

// warmups is how many go before those that count.
const warmups = 3

// oneByOne takes the latency of n calls of once, each of which gets the number
// of the call.
func oneByOne(ctx context.Context, n int, once func(ctx context.Context, i int) error) (latencies []float64, err error) {
	for i := range warmups + n {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause + rand.N(pause)):
		}
		began := time.Now()
		if err := once(ctx, i); err != nil {
			return nil, err
		}
		if i >= warmups {
			latencies = append(latencies, float64(time.Since(began))/float64(time.Millisecond))
		}
	}
	return latencies, nil
}
