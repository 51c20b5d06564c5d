package state

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// TestAFrontHidesNothing has readers look at an index whose first records are
// removed, while others are put anywhere, in view of the readers or behind
// their backs.
func TestAFrontHidesNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	var f fronts
	prefix := []byte("x")
	has := map[string]bool{}
	key := func(n int) []byte { return fmt.Appendf(nil, "x%04d", n) }
	lowest := func(in map[string]bool, from string) string {
		least := ""
		for k := range in {
			if k >= from && (least == "" || k < least) {
				least = k
			}
		}
		return least
	}
	next, useful := 5000, 0
	for range 20_000 {
		epoch := f.open()
		view := map[string]bool{}
		for k := range has {
			view[k] = true
		}
		put := func() {
			n := next
			if next++; chance.IntN(4) == 0 {
				n -= chance.IntN(20)
			}
			k := key(n % 10_000)
			has[string(k)] = true
			f.put(prefix, k)
		}
		for range chance.IntN(2) {
			put() // the reader does not see it
		}
		start := string(f.start(prefix))
		if first := lowest(view, ""); first != "" && lowest(view, start) != first {
			t.Fatalf("a reader that begins at %q misses %q", start, first)
		}
		if start != "x" {
			useful++
		}
		switch first := lowest(view, start); {
		case first != "":
			f.found(epoch, prefix, []byte(first))
			delete(has, first)
		default:
			f.found(epoch, prefix, behind(prefix))
		}
		for range chance.IntN(2) {
			put()
		}
		if chance.IntN(1000) == 0 {
			f.forget()
		}
		if next > 9_900 {
			next = 5000
			clear(has)
			f.forget()
		}
	}
	if useful < 10_000 {
		t.Errorf("only %d readers began behind the beginning", useful)
	}
}

// TestWakesAreThoseThatThereAre wakes jobs at any time, ever later mostly, and
// looks at the first ones.
func TestWakesAreThoseThatThereAre(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	s := open(t, t.TempDir())
	defer closed(t, s)
	const jobs = 20
	var all [jobs]job.Declared
	for i := range all {
		all[i] = declare(t, s, job.Spec{Name: fmt.Sprint("job", i), Processor: "p"})
	}
	wakes := map[string]time.Time{}
	for step := range 300 {
		for range chance.IntN(4) {
			d := &all[chance.IntN(jobs)]
			f := firing(*d, due(step-chance.IntN(3)))
			_, err := s.Fire(t.Context(), f)
			must(t, err)
			d.Fires.Seq++
			wakes[d.Spec.Name] = f.Wake
		}
		got, err := s.Wakes(due(step-1), jobs)
		must(t, err)
		for i, w := range got {
			if i > 0 && w.At.Before(got[i-1].At) || !wakes[w.Name].Equal(w.At) {
				t.Fatalf("got %+v, want in order what %v says", got, wakes)
			}
		}
		n := 0
		for _, at := range wakes {
			if !at.After(due(step - 1)) {
				n++
			}
		}
		if len(got) != n {
			t.Fatalf("got %d, want %d", len(got), n)
		}
		for _, w := range got { // settled, and looked at later
			d := &all[slices.IndexFunc(all[:], func(d job.Declared) bool { return d.Spec.Name == w.Name })]
			f := firing(*d, due(step+chance.IntN(5)))
			_, err := s.Fire(t.Context(), f)
			must(t, err)
			d.Fires.Seq++
			wakes[w.Name] = f.Wake
		}
	}
}
