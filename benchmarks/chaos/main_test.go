//go:build unix

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/benchmarks/chaos/verdict"
)

func TestParseRefusesWhatMakesNoSense(t *testing.T) {
	for _, args := range []string{
		"-duration 0s", "-duration -1s", "-settle 0s", "-servers 2", "-servers 0", "-servers 1 -workers 0", "-workers -1", "-scenario none", "more", "-seed x",
	} {
		if o, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s: got %+v, want an error", args, o)
		}
	}
}

func TestParseDrawsASeed(t *testing.T) {
	o, err := parse(nil)
	if err != nil || o.seed == 0 {
		t.Errorf("got seed %d and %v, want one", o.seed, err)
	}
	if o, err = parse([]string{"-seed", "7"}); err != nil || o.seed != 7 {
		t.Errorf("got seed %d and %v, want 7", o.seed, err)
	}
}

func TestTheSeedDecidesWhatIsSubmitted(t *testing.T) {
	draw := func(seed uint64) (all []string) {
		c := &cluster{dir: t.TempDir()}
		if err := os.Mkdir(c.texts(), 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := newLoad(c, random(seed, 1))
		if err != nil {
			t.Fatal(err)
		}
		rng := random(seed, 2)
		for range 100 {
			w := l.draw(rng)
			all = append(all, fmt.Sprint(w.Spec.Processor, w.Spec.Params, w.Want))
		}
		return all
	}
	a, b, other := draw(7), draw(7), draw(8)
	if !slices.Equal(a, b) {
		t.Error("one seed draws two rows of runs")
	}
	if slices.Equal(a, other) {
		t.Error("two seeds draw the same")
	}
}

func TestRefusalsForgetWhichRunItWas(t *testing.T) {
	got := refusals([]verdict.Write{
		{Cut: true, Err: "node: submit default/echo@20261125T102839Z-cjfdrd46: no leader"},
		{Cut: true, Err: "other"},
		{Cut: true, Err: "node: submit default/echo@20261125T102840Z-cjfdrd47: no leader"},
		{Cut: true},
		{Err: "not cut"},
	})
	if want := []string{"node: submit: no leader", "other"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
