package job

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/trigger"
)

// Limit bounds how many runs that belong together go on at a time, and how
// often they begin. What is over it waits, on disk, and begins in its turn.
type Limit struct {
	// By says which runs belong together. Empty means ByJob in a Spec, and
	// ByNamespace in a Namespace.
	By LimitBy `msgpack:"b,omitempty" json:"by,omitempty" yaml:"by,omitempty"`
	// Running is how many of them go on at a time. Zero means any number.
	Running int `msgpack:"n,omitempty" json:"running,omitempty" yaml:"running,omitempty"`
	// Rate is how many of them begin in any time of a length, as "10/1m" for
	// ten in any minute. Empty means any number.
	Rate string `msgpack:"r,omitempty" json:"rate,omitempty" yaml:"rate,omitempty"`
}

// LimitBy says which runs belong together.
type LimitBy string

// What runs have in common that belong together.
const (
	// ByJob is the job.
	ByJob LimitBy = "job"
	// ByKey is the limit key: in a Spec that of the runs of the job, in a
	// Namespace that of the runs of all its jobs. Runs without a key are not
	// limited by it.
	ByKey LimitBy = "key"
	// ByNamespace is the namespace. A Spec can't have it.
	ByNamespace LimitBy = "namespace"
)

// Rate is a number of times in any time of a length.
type Rate struct {
	N   int
	Per time.Duration
}

// The bounds of rates and limits.
const (
	maxRate    = 1_000_000
	maxRatePer = 7 * 24 * time.Hour
	maxLimits  = 10
)

// ParseRate reads a rate as in "10/1m".
func ParseRate(text string) (Rate, error) {
	count, per, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	d, badPer := time.ParseDuration(per)
	if err != nil || badPer != nil || n < 1 || n > maxRate || d < time.Second || d > maxRatePer {
		return Rate{}, fmt.Errorf("job: rate %q: want a number from 1 to %d and a time from 1s to %.0fh, as in 10/1m", text, maxRate, maxRatePer.Hours())
	}
	return Rate{n, d}, nil
}

// String returns the rate as ParseRate reads it.
func (r Rate) String() string { return fmt.Sprintf("%d/%v", r.N, r.Per) }

// Namespace is what is said of all jobs of a namespace together.
type Namespace struct {
	Name string `msgpack:"n" json:"name" yaml:"name"`
	// Limits bound the runs of the namespace, beside those of each job.
	Limits []Limit `msgpack:"l,omitempty" json:"limits,omitempty" yaml:"limits,omitempty"`
}

// Validate returns an error that names the first field whose value can't be,
// the value, and what would be right.
func (n *Namespace) Validate() error {
	if !validName(n.Name, nameMarks) {
		return fmt.Errorf("job: Name %.100q of a namespace: want 1 to 100 letters, digits, dots, dashes or underscores", n.Name)
	}
	return validateLimits(n.Limits, ByNamespace, ByJob, ByKey)
}

func (s *Spec) validateLimits() error {
	if s.LimitKey != "" {
		if _, err := trigger.CompileKey(s.LimitKey); err != nil {
			return fmt.Errorf("job: LimitKey: %s", strings.TrimPrefix(err.Error(), "trigger: "))
		}
	}
	for i, l := range s.Limits {
		if l.By == ByNamespace {
			return fmt.Errorf("job: Limits[%d].By %q: want job or key: what bounds a namespace is said of the namespace, not of a job", i, l.By)
		}
	}
	return validateLimits(s.Limits, ByJob, ByKey)
}

func validateLimits(limits []Limit, by ...LimitBy) error {
	if len(limits) > maxLimits {
		return fmt.Errorf("job: %d Limits: want at most %d", len(limits), maxLimits)
	}
	for i, l := range limits {
		known := l.By == ""
		for _, b := range by {
			known = known || l.By == b
		}
		switch {
		case !known:
			return fmt.Errorf("job: Limits[%d].By %q: want one of %s", i, l.By, strings.Trim(fmt.Sprint(by), "[]"))
		case l.Running < 0:
			return fmt.Errorf("job: Limits[%d].Running %d: want a positive number, or 0 for any number", i, l.Running)
		case l.Running == 0 && l.Rate == "":
			return fmt.Errorf("job: Limits[%d] bounds nothing: set Running, or Rate as in 10/1m", i)
		}
		if l.Rate != "" {
			if _, err := ParseRate(l.Rate); err != nil {
				return fmt.Errorf("job: Limits[%d].Rate: %s", i, strings.TrimPrefix(err.Error(), "job: "))
			}
		}
	}
	return nil
}
