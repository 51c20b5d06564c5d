package state

import (
	"fmt"
	"math/rand/v2"
	"testing"
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
		first := lowest(view, start)
		if first != "" {
			f.found(epoch, prefix, []byte(first))
			delete(has, first)
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
