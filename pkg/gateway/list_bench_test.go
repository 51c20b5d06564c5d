package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// BenchmarkListRuns reads all of 100,000 runs of a thousand jobs over HTTP, page
// by page, and tells how long pages take, those of the first and of the last tenth,
// and by how much what lives on the heap grows on the way.
func BenchmarkListRuns(b *testing.B) {
	const count, jobs = 100_000, 1000
	url := many(b, count, jobs)
	for _, sort := range []string{"-created", "created", "job"} {
		for _, limit := range []int{100, 1000} {
			b.Run(fmt.Sprintf("sort=%s/limit=%d", sort, limit), func(b *testing.B) {
				measure(b, fmt.Sprintf("%s?sort=%s&limit=%d", url+runs, sort, limit), count, func(page *api.Runs) (ids []string, next string) {
					for i := range page.Runs {
						ids = append(ids, string(page.Runs[i].ID))
					}
					return ids, page.Next
				})
			})
		}
	}
}

// BenchmarkListTasks does so for the tasks of a run that has a million.
func BenchmarkListTasks(b *testing.B) {
	const count = 1_000_000
	n, url := served(b, mapreduce.Registry{"fan": mapreduce.ProcessorFunc(func(_ context.Context, t *mapreduce.Task) (any, error) {
		for i := range count - 1 {
			if t.Parent != "" {
				break
			}
			if err := t.Emit("leaf", i); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})})
	r, err := n.Submit(b.Context(), job.Spec{Name: "fan", Processor: "fan", Mode: job.Map})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := r.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	_, name, _ := strings.Cut(string(r.ID()), "/")
	for _, order := range []string{"asc", "desc"} {
		b.Run("order="+order, func(b *testing.B) {
			measure(b, url+runs+"/"+name+"/tasks?limit=1000&order="+order, count, func(page *api.Attempts) (ids []string, next string) {
				for i := range page.Attempts {
					ids = append(ids, page.Attempts[i].Task)
				}
				return ids, page.Next
			})
		})
	}
}

// measure reads a list page by page and reports how that went.
func measure[P any](b *testing.B, url string, count int, read func(page *P) (ids []string, next string)) {
	b.Helper()
	for b.Loop() {
		took, heap := readAll(b, url, count, read)
		tenth := len(took) / 10
		b.ReportMetric(median(took[:tenth]), "first-ms")
		b.ReportMetric(median(took[len(took)-tenth:]), "last-ms")
		b.ReportMetric(median(took), "p50-ms")
		slices.Sort(took)
		b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		b.ReportMetric(float64(heap)/(1<<20), "MiB")
	}
}

// many starts a node with so many runs that wait, and returns where they are.
func many(b *testing.B, count, jobs int) string {
	b.Helper()
	n, url := served(b, processors)
	specs := make([]job.Spec, count)
	for i := range specs {
		specs[i] = job.Spec{Name: fmt.Sprintf("j%03d", i%jobs), Processor: "echo"}
		if i < jobs {
			if err := n.PauseJob(b.Context(), "", specs[i].Name, "so that they wait"); err != nil {
				b.Fatal(err)
			}
		}
	}
	for part := range slices.Chunk(specs, 10_000) {
		if _, err := n.SubmitAll(b.Context(), part); err != nil {
			b.Fatal(err)
		}
	}
	return url
}

// served starts a node with room for many runs, and returns where its API is.
func served(b *testing.B, processors mapreduce.Registry) (*node.Node, string) {
	b.Helper()
	quiet := slog.New(slog.DiscardHandler)
	n, err := node.Start(b.Context(), node.Config{Dir: b.TempDir(), Processors: processors, MaxQueued: 200_000, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = n.Stop(b.Context()) }) // whose context is over by then
	h, err := gateway.Handler(n, gateway.Config{Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	s := httptest.NewServer(h)
	b.Cleanup(s.Close)
	return n, s.URL + api.Prefix
}

// readAll returns how long each page took, and by how many bytes what lives on the
// heap grew at most.
func readAll[P any](b *testing.B, url string, want int, read func(page *P) (ids []string, next string)) (took []time.Duration, heap uint64) {
	b.Helper()
	hash, seen := maphash.MakeSeed(), make(map[uint64]bool, want)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtime.GC()
	metrics.Read(live)
	before := live[0].Value.Uint64()
	for cursor := ""; ; {
		began := time.Now()
		resp, err := http.Get(url + "&cursor=" + cursor)
		if err != nil {
			b.Fatal(err)
		}
		var page P
		if err := json.NewDecoder(resp.Body).Decode(&page); err != nil || resp.StatusCode != http.StatusOK {
			b.Fatalf("%s: %v", resp.Status, err)
		}
		_ = resp.Body.Close()
		took = append(took, time.Since(began))
		ids, next := read(&page)
		for _, id := range ids {
			seen[maphash.String(hash, id)] = true
		}
		metrics.Read(live)
		heap = max(heap, max(live[0].Value.Uint64(), before)-before)
		if cursor = next; cursor == "" {
			break
		}
	}
	if len(seen) != want {
		b.Fatalf("got %d, want %d", len(seen), want)
	}
	return took, heap
}

// median returns the one in the middle in milliseconds.
func median(took []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[len(sorted)/2].Seconds() * 1000
}
