package shuffle

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// Many writers at once stay within the bound, but for the floor of each.
func TestMemoryStaysWithinItsBound(t *testing.T) {
	const limit, writers = 8 << 20, 6
	s := newPool(t, limit, "a").nodes["a"]
	floor := int64(s.budget.sizes.firstSlab + 2*refSize*s.budget.sizes.refs + flushAt + 16*s.budget.sizes.block)
	var wg sync.WaitGroup
	for task := range writers {
		wg.Go(func() {
			w := writer(t, s, task)
			defer w.Abort()
			for i := range 60_000 {
				if err := w.Add(fmt.Append(nil, "key", i), make([]byte, 40)); err != nil {
					t.Error(err)
					return
				}
				if i%100 == 0 {
					s.budget.mu.Lock()
					used := s.budget.used
					s.budget.mu.Unlock()
					if used > limit+writers*floor {
						t.Errorf("%d bytes reserved of %d", used, limit)
						return
					}
				}
			}
			if _, err := w.Commit(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Memory that would not make the map output smaller is left to others.
func TestWhatDoesNotCombineIsNotGatheredForLong(t *testing.T) {
	s := newPool(t, 256<<20, "a").nodes["a"]
	w := writer(t, s, 0)
	value := make([]byte, 1000)
	for i := range 60_000 {
		if err := w.Add(fmt.Append(nil, "key", i), value); err != nil {
			t.Fatal(err)
		}
	}
	if used := s.budget.used; used > maxSorted+8<<20 {
		t.Errorf("%d bytes reserved: want not much more than %d", used, maxSorted)
	}
	st, err := w.Commit()
	if n := layersOf(t, s, 0); err != nil || n < 2 || st.Kept != 60_000 || st.Spills != 0 {
		t.Errorf("%d layers with %d pairs, %d spills, %v: want some, with 60000, and none for want of memory", n, st.Kept, st.Spills, err)
	}
}

func TestLargeValuesAndGroupsLargerThanMemory(t *testing.T) {
	p := newPool(t, 256<<10, "a", "b")
	var tasks [][]pair
	sources := []job.Source{{Node: "a"}, {Node: "b"}}
	for task := range 3 {
		pairs := []pair{{"big", strings.Repeat(fmt.Sprint("v", task), 2<<20)}, {"", ""}}
		for i := range 30_000 {
			pairs = append(pairs, pair{"hot", fmt.Sprint("value of task ", task, " number ", i)})
		}
		pairs = append(pairs, pair{strings.Repeat("k", 500_000), "x"}, pair{"big", "after"})
		write(t, p.nodes[sources[task%2].Node], task, 1, nil, pairs)
		sources[task%2].Maps = append(sources[task%2].Maps, outputID(task, 1))
		tasks = append(tasks, pairs)
	}
	r, err := p.nodes["a"].Read(t.Context(), ReadConfig{Run: testRun, Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	got, err := collect(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := equalGroups(got, oracle(tasks...)); err != nil {
		t.Error(err)
	}
	if st := r.Stats(); st.Records != 3*30_004 || st.FetchedBytes == 0 || st.Spills == 0 {
		t.Errorf("stats: %+v", st)
	}
}

func TestMoreMapOutputsThanAreMergedAtOnce(t *testing.T) {
	for _, memory := range []int64{8 << 10, 64 << 20} {
		p := newPool(t, memory, "a", "b")
		var tasks [][]pair
		sources := []job.Source{{Node: "b"}, {Node: "a"}}
		for task := range 1100 {
			pairs := []pair{{fmt.Sprint(task % 10), fmt.Sprint(task)}, {fmt.Sprint(task % 7), "x"}}
			tasks = append(tasks, pairs)
			at := task % 40 / 39
			write(t, p.nodes[sources[at].Node], task, 1, nil, pairs)
			sources[at].Maps = append(sources[at].Maps, outputID(task, 1))
		}
		r, err := p.nodes["a"].Read(t.Context(), ReadConfig{Run: testRun, Sources: sources})
		if err != nil {
			t.Fatal(err)
		}
		got, err := collect(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := equalGroups(got, oracle(tasks...)); err != nil {
			t.Errorf("memory %d: %v", memory, err)
		}
	}
}
