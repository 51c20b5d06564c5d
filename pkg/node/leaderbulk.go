package node

import (
	"context"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// endAll records how runs ended. An error says that this is not known of all
// of them, and that asking again is safe.
func (l *leader) endAll(ctx context.Context, e wire.Endings) (wire.Ended, error) {
	all := make([]state.Ending, len(e.Endings))
	for i := range e.Endings {
		f := &e.Endings[i]
		all[i] = state.Ending{
			Run: f.Run, Epoch: f.Epoch, State: f.State, Reason: f.Reason, Progress: f.Progress,
			First: f.First, Last: f.Last, Plain: true,
		}
	}
	var ended wire.Ended
	var unsure error
	over := make([]job.RunID, 0, len(all))
	for i, err := range l.state.FinishAll(ctx, all) {
		switch {
		case err == nil:
			over = append(over, all[i].Run)
		case isSettled(err):
			ended.Refused = append(ended.Refused, refusal(i, err))
		case unsure == nil:
			unsure = err
		}
	}
	if len(over) > 0 {
		l.ended(over...)
	}
	return ended, unsure
}

// isSettled reports whether the state has refused for good what a master wants
// recorded.
func isSettled(err error) bool {
	for _, end := range []error{state.ErrFenced, state.ErrFinal, state.ErrNoRun, state.ErrConflict, state.ErrInvalid} {
		if is(err, end) {
			return true
		}
	}
	return false
}
