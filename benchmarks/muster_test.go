package benchmarks_test

import (
	"fmt"
	"testing"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/benchmarks/workload"
)

// BenchmarkMuster measures each workload at a size of a second or less. What
// counts as an op is the measured part alone. For larger sizes use the command
// muster bench, which prints the same form.
func BenchmarkMuster(b *testing.B) {
	sizes := map[string]benchmarks.Options{
		"noop":      {Tasks: 20_000},
		"runs":      {Tasks: 200},
		"wordcount": {Bytes: 8 << 20},
		"sort":      {Bytes: 8 << 20},
		"index":     {Bytes: 4 << 20},
		"groupby":   {Bytes: 4 << 20},
	}
	for _, w := range workload.All() {
		for _, nodes := range []int{1, 3} {
			b.Run(fmt.Sprintf("%s/nodes=%d", w.Name(), nodes), func(b *testing.B) {
				o := sizes[w.Name()]
				o.Nodes, o.Dir = nodes, b.TempDir()
				var seconds, cpu float64
				var last benchmarks.Report
				for b.Loop() {
					r, err := benchmarks.Measure(b.Context(), w, o)
					if err != nil {
						b.Fatal(err)
					}
					seconds, cpu, last = seconds+r.Seconds, cpu+r.CPUSeconds, r
				}
				n := float64(b.N)
				b.ReportMetric(seconds/n*1e9, "ns/op")
				b.ReportMetric(cpu/n*1e9, "cpu-ns/op")
				b.ReportMetric(float64(last.Items)*n/seconds, "items/s")
				if last.Bytes > 0 {
					b.ReportMetric(float64(last.Bytes)*n/seconds/1e6, "MB/s")
				}
				b.ReportMetric(float64(last.PeakBytes), "peak-B")
			})
		}
	}
}
