package state

import (
	"bytes"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// TestWhatWasPackedIsRecordedAsItWouldHaveBeen packs settlements, and compares
// the commands that record them later.
func TestWhatWasPackedIsRecordedAsItWouldHaveBeen(t *testing.T) {
	s, now := openAt(t, t.TempDir())
	defer closed(t, s)
	d := declare(t, s, job.Spec{Name: "j", Processor: "p", Tags: []string{"b", "a"}, Priority: 3, Retain: job.Retention{Runs: 7}})
	for name, change := range map[string]func(f *Firing){
		"plain":      func(*Firing) {},
		"with input": func(f *Firing) { f.Runs[0].Chunks = blobs("one", "two") },
		"with keys":  func(f *Firing) { f.Runs[0].Run.OverlapKey, f.Runs[0].Run.LimitKey = "o", "l" },
		"for later":  func(f *Firing) { f.Runs[0].Run.NotBefore = noon.Add(24 * time.Hour) },
		"one skipped": func(f *Firing) {
			f.Skipped = []job.Skipped{{Cause: "misfire", From: due(1), To: due(2), Count: 2, At: due(3)}}
		},
		"none, at all": func(f *Firing) { f.Runs, f.Ended = nil, true },
	} {
		f := firing(d, due(9), 3, 4)
		change(&f)
		p, err := s.Pack(&f)
		must(t, err)
		now.set(time.Hour)
		got, err := p.Unpack()
		must(t, err)
		for _, trace := range []map[string]string{nil, {"traceparent": "x"}} {
			for _, f := range []*Firing{&f, &got} {
				for i := range f.Runs {
					f.Runs[i].Run.Created, f.Runs[i].Run.Trace = noon, trace
					f.Runs[i].Run.Master = []string{"", "m"}[i%2]
				}
			}
			var commands [2][]byte
			for i, f := range []*Firing{&f, &got} {
				c, err := s.settlement(f)
				must(t, err)
				commands[i], err = wire.EncodeCommand(c)
				must(t, err)
			}
			if !bytes.Equal(commands[0], commands[1]) {
				t.Errorf("%s: got %q, want %q", name, commands[1], commands[0])
			}
		}
	}
}
