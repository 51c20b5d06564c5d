package workload

import (
	"testing"
	"time"

	"github.com/musterhq/muster/benchmarks"
)

// TestTicksAreCounted has jobs that are due each second, twice.
func TestTicksAreCounted(t *testing.T) {
	r, err := benchmarks.Measure(t.Context(), ticks{time.Second, 2}, benchmarks.Options{Tasks: 30, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if r.Items != 60 || !r.Checked || r.P50 <= 0 {
		t.Errorf("got %+v", r)
	}
}
