package node_test

import (
	"fmt"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// BenchmarkBulk cancels runs that wait in the lines of ten jobs, and then tries
// some of them again.
func BenchmarkBulk(b *testing.B) {
	const runs, jobs, again = 100_000, 10, 10_000
	for b.Loop() {
		b.StopTimer()
		n, err := node.Start(b.Context(), node.Config{
			Dir: b.TempDir(), Logger: quiet, MaxQueued: 2 * runs, Processors: mapreduce.Registry{"echo": echo},
		})
		if err != nil {
			b.Fatal(err)
		}
		specs := make([]job.Spec, runs)
		for i := range specs {
			specs[i] = job.Spec{Name: fmt.Sprintf("j%d", i%jobs), Processor: "echo"}
		}
		for i := range jobs {
			if err := n.PauseJob(b.Context(), "", fmt.Sprintf("j%d", i), "so that they wait"); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := n.SubmitAll(b.Context(), specs); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for _, c := range []struct {
			bulk job.Bulk
			want int
		}{
			{job.Bulk{Verb: job.BulkCancel}, runs},
			{job.Bulk{Verb: job.BulkRetry, Job: "j3"}, again},
		} {
			o, err := n.Bulk(b.Context(), c.bulk)
			if err == nil {
				o, err = n.WaitOperation(b.Context(), "", o.ID)
			}
			if err != nil || o.Done != c.want {
				b.Fatalf("got %+v, %v, want %d done", o, err, c.want)
			}
			b.ReportMetric(o.Ended.Sub(o.Created).Seconds(), string(c.bulk.Verb)+"-s")
		}
		b.StopTimer()
		if err := n.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
