// Package workload is what pools of nodes are measured at. Each workload makes
// its input from a seed and knows, by ways that have nothing in common with
// those of a pool, what has to come out.
package workload

import (
	"fmt"
	"strings"
	"time"

	"github.com/musterhq/muster/benchmarks"
)

// All returns the workloads, in the order in which they are best listed.
func All() []benchmarks.Workload {
	return []benchmarks.Workload{noop{}, idle{}, runs{}, bulk{}, fires{}, ticks{10 * time.Second, 3}, wordCount{}, sorting{}, index{}, groupBy{}}
}

// Named returns the workload of the given name. The error names those that
// there are.
func Named(name string) (benchmarks.Workload, error) {
	var names []string
	for _, w := range All() {
		if w.Name() == name {
			return w, nil
		}
		names = append(names, w.Name())
	}
	return nil, fmt.Errorf("workload %q: there are %s", name, strings.Join(names, ", "))
}
