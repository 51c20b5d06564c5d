package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// reports takes in how attempts ended on a worker, and returns when what counts
// of it is durable.
func (c *crowd) reports(ctx context.Context, from string, r wire.Reports) (wire.Settled, error) {
	fates := make([]wire.Fate, len(r.Reports))
	ended := make([]*small, len(r.Reports))
	others := make([]*conductor, len(r.Reports))
	settling, waits := &settling{done: make(chan struct{})}, false
	c.with(func() {
		c.rush.goOn()
		if p := c.places[from]; p != nil {
			p.window = r.Window
		}
		for i := range r.Reports {
			if ended[i], others[i], fates[i] = c.reportedLocked(from, &r.Reports[i]); ended[i] != nil {
				ended[i].settled = settling
				settling.left++
			}
		}
		waits = settling.left > 0
		c.placeLocked()
		c.recordLocked()
	})
	var reporting sync.WaitGroup
	for i, other := range others {
		if other != nil {
			reporting.Go(func() { fates[i] = fateOf(other.report(ctx, from, r.Reports[i])) })
		}
	}
	reporting.Wait()
	if !waits {
		return wire.Settled{Fates: fates}, nil
	}
	select {
	case <-settling.done:
	case <-ctx.Done():
		return wire.Settled{}, context.Cause(ctx)
	case <-c.m.ctx.Done():
		return wire.Settled{}, errNoMaster
	}
	for i, s := range ended {
		if s != nil {
			fates[i] = s.fate
		}
	}
	return wire.Settled{Fates: fates}, nil
}

func fateOf(err error) wire.Fate {
	switch {
	case err == nil:
		return wire.FateTaken
	case is(err, state.ErrFenced):
		return wire.FateFenced
	}
	return wire.FateUnknown
}

// reportedLocked takes in one report: it is the end of a run, or a matter for
// its conductor, or neither.
func (c *crowd) reportedLocked(from string, r *wire.Report) (*small, *conductor, wire.Fate) {
	s := c.runs.At(r.Run)
	switch {
	case s == nil:
		return nil, c.m.runs[r.Run], wire.FateUnknown
	case s.run.Epoch != r.Epoch:
		return nil, nil, wire.FateFenced
	case s.outcome != nil && s.by == from:
		return nil, nil, wire.FateUnknown // it was reported before, and who asks again finds out
	case s.at == nil || s.at.id() != from:
		return nil, nil, wire.FateTaken // it is of an attempt that was given up
	}
	s.there = true
	if !isPlainSuccess(r.Outcomes) {
		return nil, c.leaveLocked(s), wire.FateUnknown
	}
	s.outcome, s.by = r.Outcomes, from
	c.vacateLocked(s)
	c.ended = append(c.ended, s)
	c.endedBytes += aboutReport + len(s.outcome)
	return s, nil, wire.FateUnknown
}

// isPlainSuccess reports whether blob is the outcome of a first attempt at a run's
// first task that has succeeded, and created no files.
func isPlainSuccess(blob []byte) bool {
	n, ok := 0, false
	for o, err := range wire.Outcomes(blob) {
		if err != nil {
			return false
		}
		n++
		ok = o.Task == job.TaskID{Kind: job.KindMap} && o.Attempt == 1 && o.Failure == nil && len(o.Files) == 0
	}
	return ok && n == 1
}

// recordLocked begins to record how runs ended, unless that is being done, or has
// to wait.
func (c *crowd) recordLocked() {
	if !c.recording && len(c.ended) > 0 && !c.rushLocked() {
		c.recording = true
		c.m.wg.Go(c.record)
	}
}

// record records how runs ended, all that have accumulated each time, until
// there are none or that has to wait.
func (c *crowd) record() {
	for {
		group := c.nextEnded()
		if len(group) == 0 {
			return
		}
		ended, err := c.persist(endings(group))
		if err != nil {
			return // this node conducts no more
		}
		c.recorded(group, ended)
	}
}

// endings says how runs ended.
func endings(group []*small) wire.Endings {
	e := wire.Endings{Endings: make([]wire.Ending, len(group))}
	entry := wire.Entry{Kind: wire.EntryOutcomes, N: 1, Members: make([]wire.MemberCount, 1)}
	var done job.Progress // the same for all of a member
	for i, s := range group {
		if by := &entry.Members[0]; s.by != by.Member {
			*by, done = wire.MemberCount{Member: s.by, N: 1}, progressBy(s.by)
		}
		entry.Epoch, entry.Blob = s.run.Epoch, s.outcome
		last, err := wire.EncodeEntry(&entry)
		if err != nil {
			panic(fmt.Sprintf("node: the outcome of %s was accepted and can't be recorded: %v", s.run.ID, err))
		}
		e.Endings[i] = wire.Ending{
			Run: s.run.ID, Epoch: s.run.Epoch, State: job.Succeeded, Progress: done,
			First: uint64(s.run.Plan.Chunks), Last: last,
		}
	}
	return e
}

// progressBy is what a master of a run says whose only task has succeeded, on a
// member.
func progressBy(member string) job.Progress {
	return job.Progress{Tasks: 1, Done: 1, Attempts: 1, Phase: "reduce", Members: map[string]int{member: 1}}
}

// nextEnded takes off those whose end is recorded next: none while that has to wait.
func (c *crowd) nextEnded() []*small {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	n, most := 0, min(len(c.ended), maxTogether)
	if c.rushLocked() {
		most = 0
	}
	for size := 0; n < most; n++ {
		if size += aboutRun + len(c.ended[n].outcome); n > 0 && size > maxDispatch {
			break
		}
		c.endedBytes -= aboutReport + len(c.ended[n].outcome)
	}
	group := c.ended[:n:n]
	if c.ended = c.ended[n:]; len(c.ended) == 0 {
		c.ended = nil
	}
	if c.recording = n > 0 && c.m.ctx.Err() == nil; !c.recording {
		return nil
	}
	return group
}

// persist writes to the state, however long that takes.
func (c *crowd) persist(e wire.Endings) (wire.Ended, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		ended, err := lead[wire.Ended](c.m.ctx, c.m.n, wire.MethodEndings, e)
		if err == nil {
			return ended, nil
		}
		c.m.n.log.Warn("the state does not take how runs ended", slog.Int("runs", len(e.Endings)), telemetry.Err(err))
		if !pause(c.m.ctx, wait) {
			return ended, err
		}
	}
}

// recorded lets go of runs that are over.
func (c *crowd) recorded(group []*small, ended wire.Ended) {
	refused := map[int]string{}
	for _, r := range ended.Refused {
		refused[r.At] = r.Code
	}
	tell := c.m.n.log.Enabled(c.m.ctx, slog.LevelInfo)
	c.m.mu.Lock()
	for i, s := range group {
		s.fate = wire.FateOver
		c.removeLocked(s)
		code, no := refused[i]
		switch {
		case !no:
			telemetry.End(s.span, nil)
		case code == codeOf(state.ErrFenced):
			s.fate = wire.FateFenced
			telemetry.End(s.span, state.ErrFenced)
		case code == codeOf(state.ErrFinal), code == codeOf(state.ErrNoRun):
			telemetry.End(s.span, state.ErrFinal)
		default: // its journal is not what it should be, which a conductor finds out
			s.fate = wire.FateTaken
			if c.m.ctx.Err() == nil {
				c.m.conductLocked(*s.run, &started{span: s.span})
			}
		}
		if s.settled.left--; s.settled.left == 0 {
			close(s.settled.done)
		}
	}
	c.m.mu.Unlock()
	for i, s := range group {
		if _, no := refused[i]; no {
			continue
		}
		c.m.n.ended(s.run, job.Succeeded)
		if tell {
			c.m.n.log.Info("run ended", telemetry.Run(s.run.ID), telemetry.State(job.Succeeded), slog.String("reason", ""),
				slog.Int("tasks", 1), slog.Int("attempts", 1), telemetry.Took(time.Since(s.began)))
		}
	}
}

// codeOf returns the code of a sentinel.
func codeOf(err error) string {
	if c, ok := err.(interface{ ErrorCode() string }); ok {
		return c.ErrorCode()
	}
	return ""
}
