package wire

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/codec"
	"github.com/musterhq/muster/pkg/job"
)

// BenchmarkBulk is what the messages about small runs cost, a thousand in each.
// It reports the time and the bytes for each run.
func BenchmarkBulk(b *testing.B) {
	const n = 1000
	now, member := time.Now().UTC(), "0123456789abcdef"
	done := job.Progress{Tasks: 1, Done: 1, Attempts: 1, Phase: "reduce", Members: map[string]int{member: 1}}
	outcome := make([]byte, 60)
	var conduct Conduct
	var reports Reports
	var endings Endings
	var ends Ends
	for i := range n {
		run := &job.Run{
			ID: job.RunID(fmt.Sprintf("default/answer@20260329T030000Z-%08d", i)), Spec: job.Spec{Processor: "answer", Params: fmt.Sprint(i)}.WithDefaults(),
			Plan: job.Plan{Chunks: 1, Roots: 1}, Fire: now, Created: now, Master: member, Epoch: 1, State: job.Running,
		}
		conduct.Runs = append(conduct.Runs, run)
		reports.Reports = append(reports.Reports, Report{Run: run.ID, Epoch: 1, Window: 100, Outcomes: outcome[:10]})
		endings.Endings = append(endings.Endings, Ending{Run: run.ID, Epoch: 1, State: job.Succeeded, Progress: done, First: 1, Last: outcome})
		over := Over{ID: run.ID, Epoch: 1, State: job.Succeeded, Progress: done}
		ends.Ends = append(ends.Ends, End{Run: over, Few: true, Seqs: []uint64{1}, Outcomes: [][]byte{outcome}})
	}
	for _, m := range []any{&conduct, &reports, &endings, &ends} {
		name := reflect.TypeOf(m).Elem().Name()
		bytes, err := codec.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/write", func(b *testing.B) {
			for range b.N {
				if _, err := codec.Marshal(m); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/run")
			b.ReportMetric(float64(len(bytes))/n, "B/run")
		})
		b.Run(name+"/read", func(b *testing.B) {
			for range b.N {
				into := reflect.New(reflect.TypeOf(m).Elem()).Interface()
				if err := codec.Unmarshal(bytes, into); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/run")
		})
	}
}
