package state

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/store"
)

// refusal is an error that keeps its identity on another node: what crosses
// the wire is the code.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return r.text }

// ErrorCode returns the name that the error has on the wire.
func (r *refusal) ErrorCode() string { return r.code }

// The errors that callers act on, each with a code that crosses the wire. They
// come wrapped with the run and the reason.
var (
	// ErrNoRun says that there is no run of that ID. Nothing was recorded.
	ErrNoRun error = &refusal{"no-run", "state: no such run"}
	// ErrNoJob says that there is no job of that name. Nothing was recorded.
	ErrNoJob error = &refusal{"no-job", "state: no such job"}
	// ErrNoToken says that there is no token of that ID. Nothing was recorded.
	ErrNoToken error = &refusal{"no-token", "state: no such token"}
	// ErrNoOperation says that there is no bulk operation of that ID. Nothing was
	// recorded.
	ErrNoOperation error = &refusal{"no-operation", "state: no such operation"}
	// ErrNoEntry says that the journal does not have the entry yet.
	ErrNoEntry error = &refusal{"no-entry", "state: no such journal entry"}
	// ErrExists says that there is another run of that ID already, or a cluster.
	// Nothing was recorded.
	ErrExists error = &refusal{"exists", "state: it exists already"}
	// ErrRevision says that a job is at another revision than was expected.
	// Nothing was recorded.
	ErrRevision error = &refusal{"revision", "state: the job was changed"}
	// ErrStale says that the fires of a job were settled, or what they depend
	// on has changed, since. Nothing was recorded.
	ErrStale error = &refusal{"stale", "state: the job was settled meanwhile"}
	// ErrFenced says that the run has another epoch: a new master was
	// assigned. Nothing was recorded, and the caller has no part in the run
	// any more.
	ErrFenced error = &refusal{"fenced", "state: the run has another master"}
	// ErrFinal says that the run has ended and does not change. Nothing was
	// recorded.
	ErrFinal error = &refusal{"final", "state: the run has ended"}
	// ErrNotFinal says that the run has not ended, so that it can't be made
	// smaller or removed. Nothing was recorded.
	ErrNotFinal error = &refusal{"not-final", "state: the run has not ended"}
	// ErrOverloaded says that as many runs wait as may. Nothing was recorded;
	// the same may be asked for again once fewer do.
	ErrOverloaded error = &refusal{"overloaded", "state: overloaded"}
	// ErrConflict says that the journal holds something else at that place,
	// or would get a gap. Nothing was recorded.
	ErrConflict error = &refusal{"conflict", "state: the journal disagrees"}
	// ErrInvalid says that an argument can't be stored. Nothing was recorded.
	ErrInvalid error = &refusal{"invalid", "state: invalid"}
	// ErrFull says that the node's disk is too full to take new work. Nothing
	// was recorded.
	ErrFull error = &refusal{"storage-full", "state: storage full"}
	// ErrUnavailable says that this node can't record anything now. Nothing
	// was recorded; trying again may help.
	ErrUnavailable error = &refusal{"unavailable", "state: not available"}
	// ErrNotLeader says that another server leads, or none. Nothing was
	// recorded; asking the leader may help.
	ErrNotLeader error = &refusal{"not-leader", "state: this server does not lead"}
	// ErrNoQuorum says that what was asked for could leave too few voters to
	// decide anything. Nothing was changed.
	ErrNoQuorum error = &refusal{"no-quorum", "state: the quorum would not be safe"}
	// ErrOtherCluster says that two servers are of two clusters, which have
	// nothing to say to each other.
	ErrOtherCluster error = &refusal{"other-cluster", "state: another cluster"}
	// ErrUncertain says that the answer was lost: what was asked for may or
	// may not have been recorded, and may still be. Asking again is safe: what
	// was recorded is not recorded twice.
	ErrUncertain error = &refusal{"uncertain", "state: outcome unknown"}
	// ErrClosed says that the state was closed. Nothing was recorded.
	ErrClosed error = &refusal{"closed", "state: closed"}
	// ErrBroken says that the node could not carry out what the log holds, by
	// damage or because a newer version wrote it. It records nothing until it
	// is started again with the cause gone; reads still work.
	ErrBroken error = &refusal{"broken", "state: broken"}
)

// proposed turns an error of raft into one that says what may have happened.
func proposed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader):
		return ErrNotLeader
	case errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, store.ErrFull): // the log took all of it or nothing
		return full(err)
	default: // the log may have it
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
}

// answered turns an error of raft into one of ours where nothing was recorded.
func answered(err error) error {
	switch {
	case err == nil, errors.Is(err, raft.ErrCantBootstrap):
		return err
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost):
		return ErrNotLeader
	case errors.Is(err, raft.ErrRaftShutdown):
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// full gives the store's refusal the state's name.
func full(err error) error {
	if errors.Is(err, store.ErrFull) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
