package trigger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome is how a run ended.
type Outcome string

// How runs end, and what a Dependency may wait for: OutcomeDone is any of
// them.
const (
	OutcomeSuccess Outcome = "success"
	OutcomePartial Outcome = "partial" // some tasks failed, which was tolerated
	OutcomeFailure Outcome = "failure"
	OutcomeDone    Outcome = "done"
)

// Match is which runs of several jobs belong together.
type Match string

// How runs are matched. Empty means MatchNominal.
const (
	// MatchNominal is by the nominal instant of their fires.
	MatchNominal Match = "nominal"
	// MatchPartition is by the key of the part of the data they work on.
	MatchPartition Match = "partition"
	// MatchLatest takes each job's latest run, if it ended within a time of
	// the others. A run counts once.
	MatchLatest Match = "latest"
)

// Dependency is due when runs of other jobs end: mode 10. A run counts once,
// however many members worked on it.
type Dependency struct {
	jobs      []string
	need      int // of jobs; 0 is all
	on        Outcome
	match     Match
	within    time.Duration // for MatchLatest
	retrigger bool
}

// The most jobs of one dependency.
const maxUpstreams = 100

// Jobs are the names of the jobs whose runs count.
func (d Dependency) Jobs() []string { return slices.Clone(d.jobs) }

// Mode returns ModeDependency.
func (Dependency) Mode() Mode { return ModeDependency }

// Next returns false: nobody knows when a run ends.
func (Dependency) Next(time.Time) (Fire, bool) { return Fire{}, false }

// String is as in "upstream all of load, clean on success by nominal".
func (d Dependency) String() string {
	need := "all"
	switch d.need {
	case 0:
	case 1:
		need = "any"
	default:
		need = fmt.Sprint(d.need)
	}
	text := "upstream " + need + " of " + strings.Join(d.jobs, ", ") + " on " + string(d.on) + " by " + string(d.match)
	if d.match == MatchLatest {
		text += " within " + span(d.within)
	}
	if d.retrigger {
		text += " retrigger"
	}
	return text
}

// Validate returns what can't be.
func (d Dependency) Validate() error {
	if n := len(d.jobs); n == 0 || n > maxUpstreams {
		return fmt.Errorf("trigger: upstream of %d jobs: want 1 to %d", n, maxUpstreams)
	}
	for i, name := range d.jobs {
		if err := validName("upstream", name); err != nil {
			return err
		}
		if slices.Contains([]string{"of", "on", "by", "within", "retrigger"}, name) {
			return fmt.Errorf("trigger: upstream %q: want the name of a job: this is a word of the text", name)
		}
		if slices.Contains(d.jobs[:i], name) {
			return fmt.Errorf("trigger: upstream %s twice: want each job once", name)
		}
	}
	if d.need < 0 || d.need > len(d.jobs) {
		return fmt.Errorf("trigger: upstream %d of %d jobs: want a number from 1 to %d, any or all", d.need, len(d.jobs), len(d.jobs))
	}
	switch d.on {
	case OutcomeSuccess, OutcomePartial, OutcomeFailure, OutcomeDone:
	default:
		return fmt.Errorf("trigger: upstream on %q: want success, failure, partial or done", d.on)
	}
	switch d.match {
	case MatchNominal, MatchPartition:
	case MatchLatest:
		return positive("within", d.within, time.Second)
	default:
		return fmt.Errorf("trigger: upstream by %q: want nominal, partition or latest", d.match)
	}
	return nil
}

// parseDependency reads what follows "upstream".
func parseDependency(text string) (Trigger, error) {
	d := Dependency{on: OutcomeSuccess, match: MatchNominal}
	names, rest := text, ""
	for _, word := range []string{"on", "by", "retrigger"} {
		if i := strings.Index(names+" ", " "+word+" "); i >= 0 {
			names, rest = names[:i], text[i:]
		}
	}
	if need, of, ok := strings.Cut(names, " of "); ok {
		switch need = strings.TrimSpace(need); need {
		case "all":
		case "any":
			d.need = 1
		default:
			var err error
			if d.need, err = number(need, 1, maxUpstreams); err != nil {
				return nil, fmt.Errorf("trigger: upstream %s of: want all, any, or how many", need)
			}
		}
		names = of
	}
	for name := range strings.SplitSeq(names, ",") {
		d.jobs = append(d.jobs, strings.TrimSpace(name))
	}
	w := words(rest)
	if w.accept("on") {
		d.on = Outcome(strings.ToLower(w.next()))
	}
	if w.accept("by") {
		d.match = Match(strings.ToLower(w.next()))
	}
	if w.accept("within") {
		var err error
		if d.within, err = parseSpan(w.next()); err != nil {
			return nil, fmt.Errorf("trigger: upstream within %w", err)
		}
		if d.match != MatchLatest {
			return nil, errors.New("trigger: upstream within: want it with by latest only")
		}
	}
	d.retrigger = w.accept("retrigger")
	if err := w.end(); err != nil {
		return nil, fmt.Errorf("trigger: upstream: %w", err)
	}
	if d.need == len(d.jobs) {
		d.need = 0 // another way to say all
	}
	return d, d.Validate()
}
