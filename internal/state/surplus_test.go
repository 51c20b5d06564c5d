package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// TestOnlyJobsThatHaveRunsToForgetAreSurplus ends runs that are kept for
// different lengths of time.
func TestOnlyJobsThatHaveRunsToForgetAreSurplus(t *testing.T) {
	s := open(t, t.TempDir())
	defer closed(t, s)
	end := func(name string, keep job.Retention, n int) {
		t.Helper()
		run := newRun(fmt.Sprintf("default/%s@%d", name, n))
		run.Spec.Namespace, run.Spec.Name, run.Spec.Retain = "default", name, keep
		run.Master = "m"
		create(t, s, run, nil)
		must(t, s.Finish(t.Context(), run.ID, 1, job.Succeeded, "", job.Progress{}))
	}
	expect := func(want ...JobCount) {
		t.Helper()
		got, err := s.Surplus()
		must(t, err)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	expect()
	for i := range 2 {
		end("two", job.Retention{Runs: 2}, i)
		end("some", job.Retention{}, i)
		end("all", job.Retention{Age: -1, Runs: -1}, i)
	}
	expect()
	end("some", job.Retention{}, 2)
	end("two", job.Retention{Runs: 2}, 2)
	end("two", job.Retention{Runs: 2}, 3)
	expect(JobCount{"default", "two", 4})
	expect()
	end("brief", job.Retention{Age: time.Second}, 0)
	expect(JobCount{"default", "brief", 1})
}
