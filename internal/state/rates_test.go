package state

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

func TestRatesAreKeptUntilNothingIsLeftOfThem(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var windows []wire.RateWindow
	for i := range ratesTogether + 1 {
		windows = append(windows, wire.RateWindow{Of: fmt.Sprintf("10/1m d/j/%d", i), Window: []byte{byte(i), 0}})
	}
	for range 2 { // an answer may be lost
		must(t, s.KeepRates(t.Context(), windows))
	}
	closed(t, s)
	s = open(t, dir)
	kept, err := s.Rates()
	must(t, err)
	got := map[string]string{}
	for _, w := range kept {
		got[w.Of] = string(w.Window)
	}
	if len(kept) != len(windows) || got[windows[7].Of] != string(windows[7].Window) {
		t.Fatalf("got %d of %d", len(kept), len(windows))
	}
	for i := range windows {
		windows[i].Window = nil
	}
	must(t, s.KeepRates(t.Context(), windows[1:]))
	if kept, err = s.Rates(); err != nil || len(kept) != 1 || kept[0].Of != windows[0].Of {
		t.Errorf("got %v, %v", kept, err)
	}
	refused(t, s.KeepRates(t.Context(), []wire.RateWindow{{Of: "x", Window: make([]byte, maxWindow)}}), ErrInvalid)
}

func TestANamespaceIsKeptWhileSomethingIsSaidOfIt(t *testing.T) {
	s := open(t, t.TempDir())
	want := job.Namespace{Name: "x", Limits: []job.Limit{{Running: 3}, {By: job.ByKey, Rate: "10/1m"}}}
	must(t, s.PutNamespace(t.Context(), want))
	if got, err := s.Namespace("x"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := s.Namespace("y"); err != nil || got.Name != "y" || len(got.Limits) > 0 {
		t.Errorf("got %+v, %v of one of which nothing is said", got, err)
	}
	must(t, s.PutNamespace(t.Context(), job.Namespace{Name: "x"}))
	if all, err := s.Namespaces(); err != nil || len(all) > 0 {
		t.Errorf("got %v, %v", all, err)
	}
	refused(t, s.PutNamespace(t.Context(), job.Namespace{}), ErrInvalid)
}
