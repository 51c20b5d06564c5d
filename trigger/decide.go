package trigger

import "time"

// Decide settles the fires since the cursor: which become runs, and how many
// do not and why. It costs about the same after a second and after a year. A
// clock that was put back fires nothing again; one that was put forward makes
// misfires.
func (t *Timetable) Decide(s State, now time.Time) Decision {
	d := &decision{t: t, s: s, now: now}
	d.Cursor = s.Cursor
	switch left := t.s.MaxRuns - s.Runs; {
	case t.s.MaxRuns > 0 && left <= 0:
		d.Ended = true
	case t.trigger.Mode() == ModeDelay:
		d.decideDelay()
	case t.timed():
		d.decide()
		d.limit(left)
	}
	return d.Decision
}

// decision is a Decision in the making.
type decision struct {
	Decision
	t   *Timetable
	s   State
	now time.Time
}

func (d *decision) paused() bool {
	return !d.s.PausedAt.IsZero() && d.s.ResumedAt.Before(d.s.PausedAt)
}

func (d *decision) decide() {
	until := d.now
	if d.paused() && until.After(d.s.PausedAt) {
		until = d.s.PausedAt
	}
	// A fire is looked at when its run starts, so that those with a jitter do
	// not all make their runs at once.
	if last, ok := d.t.last(d.s.Cursor, until); ok && d.t.Start(last.At).After(d.now) {
		until = last.At.Add(-1)
	}
	from := d.s.Cursor
	if until.After(from) {
		d.Cursor = until
		before, during, behind := d.split(from, until)
		if d.missed(from, before); during.After(before) {
			d.settle(before, during, d.t.s.OnResume, CausePaused)
		}
		d.missed(during, behind)
		if len(d.t.closed) > 0 {
			if sum := d.t.tally(from, d.Cursor); sum.blacked > 0 {
				d.skip(CauseBlackout, from, d.Cursor, sum.blacked, sum.atLeast)
			}
		}
	}
	next, ok := d.t.Next(d.Cursor)
	d.Ended = !ok && !d.More
	if ok && !d.paused() {
		d.Wake = d.t.Start(next.At)
	}
}

// split cuts the time since the cursor where the last pause begins and ends.
func (d *decision) split(from, until time.Time) (before, during, behind time.Time) {
	clamp := func(t time.Time) time.Time {
		if t.Before(from) {
			return from
		}
		if t.After(until) {
			return until
		}
		return t
	}
	if d.s.PausedAt.IsZero() || d.s.ResumedAt.Before(d.s.PausedAt) {
		return from, from, until
	}
	return clamp(d.s.PausedAt), clamp(d.s.ResumedAt), until
}

// missed settles the fires after one instant and not after another, by their
// age.
func (d *decision) missed(from, until time.Time) {
	if d.More || !from.Before(until) {
		return
	}
	s := &d.t.s
	punctual := d.now.Add(-s.Threshold - s.Jitter) // or later
	young := d.now.Add(-s.CatchUp)                 // or later
	if young.After(punctual) {
		young = punctual
	}
	cut := func(t time.Time) time.Time { // the last instant before t, within bounds
		if t = t.Add(-1); t.After(until) {
			return until
		}
		if t.Before(from) {
			return from
		}
		return t
	}
	expired, late := cut(young), cut(punctual)
	if d.drop(CauseExpired, from, expired); late.After(expired) {
		d.settle(expired, late, s.Misfire, CauseMisfire)
	}
	for at := late; ; {
		fire, ok := d.t.Next(at)
		if !ok || fire.At.After(until) {
			return
		}
		if len(d.Runs) >= maxDue {
			d.More, d.Cursor = true, at
			return
		}
		d.Runs = append(d.Runs, Due{Nominal: fire.At, Start: d.t.Start(fire.At), Reason: ReasonFire})
		at = fire.At
	}
}

// settle applies a policy to the fires after one instant and not after
// another.
func (d *decision) settle(from, until time.Time, policy Misfire, cause Cause) {
	switch policy {
	case MisfireOne:
		last, ok := d.t.last(from, until)
		if !ok {
			return
		}
		first, _ := d.t.Next(from)
		sum := d.t.tally(from, until)
		d.Runs = append(d.Runs, Due{Nominal: last.At, Start: last.At, Reason: ReasonCatchUp, Missed: sum.due, From: first.At})
		if sum.due > 1 {
			d.skip(cause, first.At, last.At.Add(-1), sum.due-1, sum.atLeast)
		}
	case MisfireAll:
		for range d.t.s.MisfireLimit {
			fire, ok := d.t.Next(from)
			if !ok || fire.At.After(until) {
				return
			}
			d.Runs = append(d.Runs, Due{Nominal: fire.At, Start: fire.At, Reason: ReasonCatchUp})
			from = fire.At
		}
		d.drop(CauseBuffer, from, until)
	default:
		d.drop(cause, from, until)
	}
}

// drop skips the fires after one instant and not after another.
func (d *decision) drop(cause Cause, from, until time.Time) {
	first, ok := d.t.Next(from)
	if !from.Before(until) || !ok || first.At.After(until) {
		return
	}
	sum := d.t.tally(from, until)
	last, _ := d.t.last(from, until)
	d.skip(cause, first.At, last.At, sum.due, sum.atLeast)
}

func (d *decision) skip(cause Cause, from, to time.Time, count int, atLeast bool) {
	d.Skipped = append(d.Skipped, Skip{Cause: cause, From: from, To: to, Count: count, AtLeast: atLeast})
}

// limit ends the trigger when it has made all its runs.
func (d *decision) limit(left int) {
	if d.t.s.MaxRuns <= 0 || len(d.Runs) < left {
		return
	}
	d.Runs = d.Runs[:left]
	d.Ended, d.More, d.Wake = true, false, time.Time{}
}

// decideDelay is decide for a trigger that is due when its last run is over.
func (d *decision) decideDelay() {
	if d.s.Running || d.paused() {
		return
	}
	base := d.s.EndedAt
	if base.Before(d.s.Cursor) {
		base = d.s.Cursor
	}
	fire, ok := d.t.Next(base)
	if r := d.s.ResumedAt; ok && d.t.s.OnResume == MisfireSkip && !fire.At.Before(d.s.PausedAt) && fire.At.Before(r) {
		d.skip(CausePaused, fire.At, fire.At, 1, false)
		d.Cursor = r
		fire, ok = d.t.Next(r)
	}
	if !ok {
		d.Ended = true
		return
	}
	due := Due{Nominal: fire.At, Start: d.t.Start(fire.At), Reason: ReasonFire}
	if due.Start.After(d.now) {
		d.Wake = due.Start
		return
	}
	if late := d.now.Sub(due.Start); late > d.t.s.Threshold {
		due.Reason = ReasonCatchUp
	}
	d.Runs, d.Cursor = append(d.Runs, due), fire.At
}

// Backfill returns the fires from one instant up to and without another, as
// runs of their own, at most limit of them; and where to go on if there are
// more, else zero.
func (t *Timetable) Backfill(from, until time.Time, limit int) (runs []Due, rest time.Time) {
	if t.trigger.Mode() == ModeDelay {
		return nil, time.Time{}
	}
	for at := from.Add(-1); ; {
		fire, ok := t.Next(at)
		if !ok || !fire.At.Before(until) {
			return runs, time.Time{}
		}
		if len(runs) >= min(limit, maxDue) {
			return runs, fire.At
		}
		runs = append(runs, Due{Nominal: fire.At, Start: fire.At, Reason: ReasonBackfill})
		at = fire.At
	}
}
