package job

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Limits of a job.
const (
	// MaxTasks is the most tasks a run may have.
	MaxTasks = 10_000_000
	// MaxPartitions is the most partitions a run may have.
	MaxPartitions = 10_000
	// MaxParams is the most bytes that Params may have.
	MaxParams = 64 << 10
	// MaxPriority bounds Priority on either side of zero.
	MaxPriority = 100
	// MaxRepeat bounds Repeat.Attempts.
	MaxRepeat = 1000
	// MaxWeight bounds Weight.
	MaxWeight = 1000
	// MaxGlobs is the most bytes that the patterns of an Input may have
	// together.
	MaxGlobs = 128 << 10
)

// WithDefaults returns the spec with its names filled in.
func (s Spec) WithDefaults() Spec {
	s.Namespace = cmp.Or(s.Namespace, "default")
	s.Name = cmp.Or(s.Name, strings.ReplaceAll(s.Processor, "/", "."))
	return s
}

// Validate returns an error that names the first field whose value can't be,
// the value, and what would be right.
func (s *Spec) Validate() error {
	if s.Processor == "" {
		return fmt.Errorf("job: Processor is empty: name the processor that runs")
	}
	if !validName(s.Processor, processorMarks) {
		return fmt.Errorf("job: Processor %.100q: want the name of one that is registered: 1 to 100 letters, digits, dots, dashes, underscores or slashes", s.Processor)
	}
	for _, n := range []struct{ field, name string }{{"Namespace", s.Namespace}, {"Name", s.Name}} {
		if !validName(n.name, nameMarks) {
			return fmt.Errorf("job: %s %.100q: want 1 to 100 letters, digits, dots, dashes or underscores", n.field, n.name)
		}
	}
	if s.Mode < Auto || s.Mode > MapReduce {
		return fmt.Errorf("job: Mode %d: want one of %s", s.Mode, strings.Join(modeNames[:], ", "))
	}
	if len(s.Params) > MaxParams {
		return fmt.Errorf("job: Params has %d bytes, over the limit of %d: put them in a file or the input", len(s.Params), MaxParams)
	}
	if err := CheckTags(s.Tags); err != nil {
		return err
	}
	if err := s.validateNumbers(); err != nil {
		return err
	}
	return s.validateData()
}

// validateNumbers checks how many, how often and how long.
func (s *Spec) validateNumbers() error {
	for _, n := range []struct {
		field string
		value int64
		zero  string
	}{
		{"Shards", int64(s.Shards), "one per worker"},
		{"Partitions", int64(s.Partitions), "four per slot"},
		{"Concurrency", int64(s.Concurrency), "the node's slots"},
		{"MaxRuns", int64(s.MaxRuns), "any number"},
		{"MaxQueued", int64(s.MaxQueued), "any number"},
		{"Retry.Attempts", int64(s.Retry.Attempts), "4"},
		{"Retry.Losses", int64(s.Retry.Losses), "3"},
		{"Repeat.Attempts", int64(s.Repeat.Attempts), "1"},
		{"Tolerate.Count", int64(s.Tolerate.Count), "none"},
		{"Input.SplitBytes", s.Input.SplitBytes, "16 MiB"},
		{"Placement.MaxWorkers", int64(s.Placement.MaxWorkers), "all"},
		{"Placement.MinCPU", int64(s.Placement.MinCPU), "any"},
		{"Placement.MinMemory", s.Placement.MinMemory, "any"},
		{"Placement.MinDisk", s.Placement.MinDisk, "any"},
	} {
		if n.value < 0 {
			return fmt.Errorf("job: %s %d: want a positive number, or 0 for %s", n.field, n.value, n.zero)
		}
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"AttemptTimeout", s.AttemptTimeout}, {"TaskTimeout", s.TaskTimeout}, {"RunTimeout", s.RunTimeout}} {
		if d.value < 0 {
			return fmt.Errorf("job: %s %v: want a positive duration, or 0 for no bound", d.field, d.value)
		}
	}
	if s.Priority < -MaxPriority || s.Priority > MaxPriority {
		return fmt.Errorf("job: Priority %d: want a number from %d to %d, or 0 for the middle", s.Priority, -MaxPriority, MaxPriority)
	}
	if s.Weight < 0 || s.Weight > MaxWeight {
		return fmt.Errorf("job: Weight %d: want a number from 1 to %d, or 0 for 1", s.Weight, MaxWeight)
	}
	if err := s.validateLimits(); err != nil {
		return err
	}
	if s.Retry.Losses == 1 {
		return fmt.Errorf("job: Retry.Losses 1: want at least 2, or 0 for 3: what merely waits on a node is lost with it too")
	}
	if s.Partitions > MaxPartitions {
		return fmt.Errorf("job: Partitions %d: want at most %d, or 0 for four per slot", s.Partitions, MaxPartitions)
	}
	if s.Shards > MaxTasks {
		return fmt.Errorf("job: Shards %d: want at most %d, or 0 for one per worker", s.Shards, MaxTasks)
	}
	if share := s.Tolerate.Share; !(share >= 0 && share <= 1) { // which is how NaN is refused too
		return fmt.Errorf("job: Tolerate.Share %v: want a share from 0 to 1", share)
	}
	if err := s.Retry.Backoff.Validate(); err != nil {
		return fmt.Errorf("job: Retry.Backoff: %w", err)
	}
	if s.Repeat.Attempts > MaxRepeat {
		return fmt.Errorf("job: Repeat.Attempts %d: want at most %d, or 0 for 1", s.Repeat.Attempts, MaxRepeat)
	}
	if err := s.Repeat.Backoff.Validate(); err != nil {
		return fmt.Errorf("job: Repeat.Backoff: %w", err)
	}
	return nil
}

// validateData checks what goes in and what comes out.
func (s *Spec) validateData() error {
	in := s.Input
	if len(in.Values) > 0 && len(in.Globs) > 0 {
		return fmt.Errorf("job: Input has both Values and Globs: use one")
	}
	globs := 0
	for _, g := range in.Globs {
		if g == "" {
			return fmt.Errorf("job: Input.Globs has an empty pattern: name files, or leave it out")
		}
		globs += len(g)
	}
	if globs > MaxGlobs {
		return fmt.Errorf("job: Input.Globs has %d patterns of %d bytes together, over the limit of %d bytes: use wider patterns, or make the names Input.Values", len(in.Globs), globs, MaxGlobs)
	}
	if n := len(in.Values); n > MaxTasks {
		return fmt.Errorf("job: Input.Values has %d values, over the limit of %d: put them in a file", n, MaxTasks)
	}
	if (len(in.Values) > 0 || len(in.Globs) > 0) && (s.Mode == Standalone || s.Mode == Sharded || s.Mode == Broadcast) {
		return fmt.Errorf("job: Input is set in mode %v, whose tasks have none: use Params, or mode map", s.Mode)
	}
	switch s.Output.Format {
	case "", "tsv", "json":
	default:
		return fmt.Errorf("job: Output.Format %q: want \"tsv\", \"json\" or nothing", s.Output.Format)
	}
	if s.Output.Format != "" && s.Output.Dir == "" {
		return fmt.Errorf("job: Output.Format is %q but Output.Dir is empty: name a directory that every node sees", s.Output.Format)
	}
	switch s.Placement.Strategy {
	case "", "least-loaded", "random", "spread":
	case "affinity":
		if s.Placement.Affinity == "" {
			return fmt.Errorf("job: Placement.Strategy is affinity but Placement.Affinity is empty: name the key that keeps runs together")
		}
	default:
		return fmt.Errorf("job: Placement.Strategy %q: want least-loaded, random, spread or affinity", s.Placement.Strategy)
	}
	if key := s.Placement.Affinity; key != "" && s.Placement.Strategy != "affinity" {
		return fmt.Errorf("job: Placement.Affinity is %q but Placement.Strategy is %q: make the strategy affinity, or leave the key out", key, s.Placement.Strategy)
	}
	return nil
}

// What a name may have in it besides letters and digits.
const (
	nameMarks      = ".-_"
	processorMarks = ".-_/"
)

func validName(s, marks string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(marks, c) {
			return false
		}
	}
	return true
}
