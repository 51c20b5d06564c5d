package node

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/musterhq/muster/internal/runlog"
	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/internal/worker"
	"github.com/musterhq/muster/pkg/job"
)

// What a server does with the lines of runs.

const (
	// syncLogsEvery bounds what a loss of power takes along.
	syncLogsEvery = 5 * time.Second
	// forgetLogsEvery is how often a server looks for lines of runs that are
	// forgotten; it lets those of a run alone that came so lately that this
	// server may not know of the run yet.
	forgetLogsEvery = 10 * time.Minute
	// maxLogWait bounds how long a server lets somebody wait for a line.
	maxLogWait = 30 * time.Second
)

// openLogs opens the place for the lines of runs, if the node is a server.
func (n *Node) openLogs(context.Context) (err error) {
	n.logs = newLogs(n)
	handle(n, wire.MethodLogFlush, func(ctx context.Context, _ string, _ wire.Nothing) (wire.Nothing, error) {
		return wire.Nothing{}, n.logs.collector.Flush(ctx)
	})
	if n.state == nil {
		return nil
	}
	n.kept, err = runlog.Open(runlog.Config{Dir: filepath.Join(n.cfg.Dir, "logs"), Total: n.cfg.LogSpace, Logger: n.log})
	if err != nil {
		return err
	}
	handleAsk(n, wire.MethodLogAppend, func(_ context.Context, b wire.LogBatches) (wire.Nothing, error) {
		return wire.Nothing{}, n.kept.Append(b.Batches)
	})
	handleAsk(n, wire.MethodLogPage, func(ctx context.Context, r wire.LogPageRef) (wire.LogPage, error) {
		lines, more, err := n.kept.Page(ctx, r.Run, &r.Query)
		return wire.LogPage{Lines: packed(lines), More: more}, err
	})
	handleAsk(n, wire.MethodLogMark, func(_ context.Context, r wire.RunRef) (wire.LogMark, error) {
		return n.kept.Mark(r.Run), nil
	})
	handleAsk(n, wire.MethodLogArrived, func(ctx context.Context, r wire.LogArrivedRef) (wire.LogArrived, error) {
		filter, err := r.Query.Filter()
		if err != nil {
			return wire.LogArrived{}, err
		}
		lines, at, more, err := n.kept.Arrived(ctx, r.Run, filter, r.At, min(r.Wait, maxLogWait))
		return wire.LogArrived{Lines: packed(lines), At: at, More: more}, err
	})
	return nil
}

func (n *Node) closeLogs(context.Context) error {
	if n.kept == nil {
		return nil
	}
	return n.kept.Close()
}

func packed(lines []job.LogLine) []byte {
	var b []byte
	for i := range lines {
		b = wire.AppendLogLine(b, &lines[i])
	}
	return b
}

func unpacked(run job.RunID, b []byte) ([]job.LogLine, error) {
	var lines []job.LogLine
	for l, err := range wire.LogLines(run, b) {
		if err != nil {
			return nil, err
		}
		lines = append(lines, *l)
	}
	return lines, nil
}

// linesOf returns what keeps the lines of an attempt on this node.
func (n *Node) linesOf(a job.AttemptID) worker.Lines { return n.logs.collector.Writer(a) }

// keepLogs looks after the lines that this server has.
func (s *server) keepLogs(ctx context.Context) {
	sync, forget := time.NewTicker(syncLogsEvery), time.NewTicker(forgetLogsEvery)
	defer sync.Stop()
	defer forget.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-sync.C:
			err = s.n.kept.Sync()
		case <-forget.C:
			err = s.forgetLogs(ctx, forgetLogsEvery)
		}
		if err != nil && ctx.Err() == nil {
			s.n.log.Warn("the lines of runs could not be looked after", telemetry.Err(err))
		}
	}
}

// forgetLogs gives up the lines of runs that the state has forgotten, unless
// some came lately.
func (s *server) forgetLogs(ctx context.Context, lately time.Duration) error {
	var gone []job.RunID
	for _, id := range s.n.kept.Runs(lately) {
		_, err := s.state.Run(id)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case is(err, state.ErrNoRun):
			gone = append(gone, id)
		case err != nil:
			return err
		}
	}
	return s.n.kept.Forget(gone...)
}

// flushTimeout bounds how long a node that stops tries to hand on what was
// logged on it.
const flushTimeout = 2 * time.Second

// flushLogs hands on what was logged on this node before it stops.
func (n *Node) flushLogs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := n.logs.collector.Flush(ctx); err != nil && !errors.Is(err, context.Canceled) {
		n.log.Warn("what tasks have logged is lost", telemetry.Err(err))
	}
}
