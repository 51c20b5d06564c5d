package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/benchmarks/peers/side"
)

func TestEverySizeHasEachKindOfWork(t *testing.T) {
	for name, s := range presets {
		p := newPlan(s, 1)
		ids := map[string]bool{}
		kinds := map[string]bool{}
		for _, c := range p.cells {
			if ids[c.id] {
				t.Errorf("%s: got cell %s twice", name, c.id)
			}
			ids[c.id], kinds[c.work.Kind] = true, true
		}
		for _, s := range side.All() {
			if !kinds[s.Kind] {
				t.Errorf("%s: got no %s", name, s.Kind)
			}
		}
		for _, s := range p.series {
			for i, at := range s.At {
				if !ids[at.Cell] {
					t.Errorf("%s: %s: got %s in it, want a cell of the plan", name, s.Title, at.Cell)
				}
				if i > 0 && at.X <= s.At[i-1].X {
					t.Errorf("%s: %s: got %v after %v, want them in order", name, s.Title, at.X, s.At[i-1].X)
				}
			}
		}
	}
}

func TestEverySideHasANameOfItsOwnAndMusterIsFirst(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range side.All() {
		if key := s.Kind + "/" + s.Name; seen[key] {
			t.Errorf("got %s twice", key)
		} else {
			seen[key] = true
		}
		if first := side.Of(s.Kind)[0].Name; !strings.HasPrefix(first, "muster") {
			t.Errorf("got %s first of %s, want muster", first, s.Kind)
		}
	}
	for name, s := range presets {
		for limited := range s.limits {
			if !seen["tasks/"+limited] {
				t.Errorf("%s: got a limit for %s, want one for a side", name, limited)
			}
		}
	}
}

func TestOnlyLeavesWhatItNames(t *testing.T) {
	p, err := newPlan(presets["small"], 1).chosen([]string{"sort", "tasks/river"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.cells {
		var got []string
		for _, s := range side.Of(c.work.Kind) {
			if !slices.Contains(c.without, s.Name) {
				got = append(got, s.Name)
			}
		}
		switch c.work.Kind {
		case side.Sort:
			if len(got) != len(side.Of(side.Sort)) {
				t.Errorf("%s: got %v, want all", c.id, got)
			}
		case side.Tasks:
			if !slices.Equal(got, []string{"river"}) {
				t.Errorf("%s: got %v, want river", c.id, got)
			}
		default:
			t.Errorf("got %s, want nothing of it", c.id)
		}
	}
	if len(p.series) != 4 {
		t.Errorf("got %d series, want two of tasks and two of sort", len(p.series))
	}
	if _, err := newPlan(presets["small"], 1).chosen([]string{"sort", "tasks/rivr"}); err == nil || !strings.Contains(err.Error(), `"tasks/rivr"`) {
		t.Errorf("got error %v, want one that names what there is not", err)
	}
}

func TestSizesAreTakenFromTheCommandLine(t *testing.T) {
	o, err := parse([]string{"-size", "full", "-tasks", "10,20", "-payloads", "0,64KiB", "-memory", "1GiB", "-exponents", "1.5", "-keys", "one", "-repeat", "2", "-cores", "1", "-servers", "3", "-only", "sort,latency"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.tasks, []int64{10, 20}) || !slices.Equal(o.payloads, []int64{0, 65536}) || o.memory != 1<<30 || !slices.Equal(o.exponents, []float64{1.5}) || !slices.Equal(o.keys, []string{"one"}) {
		t.Errorf("got %+v, want what was named", o.sizes)
	}
	if o.repeat != 2 || o.nodes != 3 || len(o.only) != 2 || !slices.Equal(o.sort, presets["full"].sort) {
		t.Errorf("got %+v, want what was named, and the rest as in full", o)
	}
	if !slices.Equal(presets["full"].keys[:1], []string{"distinct"}) {
		t.Error("the preset has changed")
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for _, args := range []string{
		"-size medium", "-cores 0", "-servers 2", "-repeat -1", "-tasks ten", "-memory 1TB", "-text 9999999GiB", "-exponents x", "sort",
	} {
		_, err := parse(strings.Fields("-cores 1 "+args), io.Discard)
		fields := strings.Fields(args)
		if err == nil || !strings.Contains(err.Error(), fields[0]) && !strings.Contains(err.Error(), fields[len(fields)-1]) {
			t.Errorf("%s: got error %v, want one that names it", args, err)
		}
	}
}
