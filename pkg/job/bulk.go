package job

import (
	"fmt"
	"slices"
	"time"
)

// Bulk is one verb for many runs or jobs of a namespace: for those that are
// named, or for the runs that a filter finds.
type Bulk struct {
	// Namespace is where. Empty means "default".
	Namespace string `msgpack:"ns"`
	Verb      Verb   `msgpack:"v"`
	// Runs are the runs that are meant, or Jobs the names of the jobs.
	Runs []RunID  `msgpack:"r,omitempty"`
	Jobs []string `msgpack:"jb,omitempty"`
	// Without Runs those are meant that the rest asks for, as in RunQuery, as they
	// are when they are reached. None of States means those that the verb is for:
	// runs that are not over to be ended, and runs that failed or were canceled,
	// and have no next attempt, to be tried again.
	Job    string    `msgpack:"j,omitempty"`
	States []State   `msgpack:"s,omitempty"`
	Key    string    `msgpack:"k,omitempty"`
	Tags   []string  `msgpack:"tg,omitempty"`
	From   time.Time `msgpack:"f,omitempty"`
	Until  time.Time `msgpack:"u,omitempty"`
	// Reason is why, for those who look at the runs later.
	Reason string `msgpack:"w,omitempty"`
	// Once names the operation: as long as it is remembered, whoever asks for one
	// in the namespace with the same gets this one.
	Once string `msgpack:"o,omitempty"`
	// By is who asks. Empty means the node that does.
	By string `msgpack:"by,omitempty"`
}

// Verb is what is done to each of many runs or jobs.
type Verb string

// The verbs. Each does nothing to a run or job that is already as it would have
// it, so it may be carried out twice.
const (
	BulkCancel   Verb = "cancel"    // as Run.Cancel
	BulkStop     Verb = "stop"      // as Run.Stop
	BulkRetry    Verb = "retry"     // as Run.Retry: the tasks that did not succeed
	BulkRetryAll Verb = "retry-all" // as Run.RetryAll: all tasks

	BulkPause  Verb = "pause"  // as Node.PauseJob
	BulkResume Verb = "resume" // as Node.ResumeJob
	BulkDelete Verb = "delete" // as Node.DeleteJob
)

// jobVerbs are the verbs of jobs.
var jobVerbs = []Verb{BulkPause, BulkResume, BulkDelete}

// runVerbs are the verbs of runs, each with the states that it is for.
var runVerbs = map[Verb][]State{
	BulkCancel: {Pending, Running}, BulkStop: {Pending, Running},
	BulkRetry: {Failed, Canceled}, BulkRetryAll: {Failed, Canceled},
}

// MaxBulk is how many runs or jobs a bulk may name.
const MaxBulk = 10_000

// The bounds of the texts of a bulk, in bytes.
const (
	maxBulkText = 1 << 10
	maxBulkName = 512
)

// WithDefaults returns b with the namespace and the states that are meant if it
// names none.
func (b Bulk) WithDefaults() Bulk {
	if b.Namespace == "" {
		b.Namespace = "default"
	}
	if len(b.States) == 0 && b.Selected() == 0 {
		b.States = runVerbs[b.Verb]
	}
	return b
}

// Selected is how many runs or jobs b names. If there are none, a filter says
// which are meant.
func (b *Bulk) Selected() int { return len(b.Runs) + len(b.Jobs) }

// OfJobs reports whether the verb is for jobs, and not for runs.
func (v Verb) OfJobs() bool { return slices.Contains(jobVerbs, v) }

// Ends reports whether the verb ends runs.
func (v Verb) Ends() bool { return v == BulkCancel || v == BulkStop }

// Retries reports whether the verb makes next attempts.
func (v Verb) Retries() bool { return v == BulkRetry || v == BulkRetryAll }

// Validate returns what keeps b from being carried out: the field, the value,
// and what would be right.
func (b *Bulk) Validate() error {
	states, ofRuns := runVerbs[b.Verb]
	if !ofRuns && !b.Verb.OfJobs() {
		return fmt.Errorf("job: Verb %.40q: want cancel, stop, retry or retry-all for runs, or pause, resume or delete for jobs", b.Verb)
	}
	if err := b.checkMeant(states); err != nil {
		return err
	}
	switch {
	case len(b.Reason) > maxBulkText:
		return fmt.Errorf("job: Reason has %d bytes, the limit is %d: shorten it", len(b.Reason), maxBulkText)
	case len(b.Once) > maxBulkText || len(b.Key) > maxBulkText:
		return fmt.Errorf("job: Once and Key have %d and %d bytes, the limit is %d: use shorter ones, or a hash", len(b.Once), len(b.Key), maxBulkText)
	case len(b.By) > maxBulkName || len(b.Job) > maxBulkName:
		return fmt.Errorf("job: By and Job have %d and %d bytes, the limit is %d: shorten them", len(b.By), len(b.Job), maxBulkName)
	}
	q := RunQuery{Namespace: b.Namespace, Job: b.Job, Tags: b.Tags, From: b.From, Until: b.Until}
	return q.Validate()
}

// checkMeant returns what is wrong with who is meant, for a verb of runs in the
// given states, or of jobs.
func (b *Bulk) checkMeant(states []State) error {
	filters := b.Job != "" || len(b.States) > 0 || b.Key != "" || len(b.Tags) > 0 || !b.From.IsZero() || !b.Until.IsZero()
	switch {
	case b.Verb.OfJobs() && (len(b.Runs) > 0 || filters):
		return fmt.Errorf("job: Verb %s is for jobs: name them in Jobs, and leave out what says which runs", b.Verb)
	case b.Verb.OfJobs() && len(b.Jobs) == 0:
		return fmt.Errorf("job: Jobs is empty: name the jobs to %s", b.Verb)
	case !b.Verb.OfJobs() && len(b.Jobs) > 0:
		return fmt.Errorf("job: Jobs names %d jobs, and %s is for runs: name those in Runs, or say which by Job", len(b.Jobs), b.Verb)
	case b.Selected() > MaxBulk:
		return fmt.Errorf("job: Runs and Jobs have %d names, the limit is %d: say which runs by their job and states, or make several of it", b.Selected(), MaxBulk)
	case len(b.Runs) > 0 && filters:
		return fmt.Errorf("job: Runs names %d runs: leave Job, States, Key, Tags, From and Until out, or Runs", len(b.Runs))
	}
	for i, name := range b.Jobs {
		if name == "" || len(name) > maxBulkName {
			return fmt.Errorf("job: Jobs[%d] %.100q: want the name of a job, of 1 to %d bytes", i, name, maxBulkName)
		}
	}
	for i, id := range b.Runs {
		if id.Namespace() != b.Namespace || len(id) > maxBulkName {
			return fmt.Errorf("job: Runs[%d] %.100q: want a run of namespace %q, as in %s/nightly@20260329T030000Z", i, id, b.Namespace, b.Namespace)
		}
	}
	for _, s := range b.States {
		if !slices.Contains(states, s) {
			return fmt.Errorf("job: States has %v: %s is for runs that are %v or %v", s, b.Verb, states[0], states[1])
		}
	}
	return nil
}
