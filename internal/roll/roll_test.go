package roll

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// ids are IDs of runs of a few lots and of none, among them such as look like one
// of a lot and are not, or are not the only way to write their number.
func ids() []job.RunID {
	all := []job.RunID{"", "n/j@1", ".0001", "n/j@1.001", "n/j@1.00a1", "n/j@1.1024", "n/j@1.9999", "n/j@1#2"}
	for lot := range 4 {
		for _, i := range []int{0, 1, 63, 64, 65, 512, 1023} {
			all = append(all, job.InLot(job.RunID(fmt.Sprintf("n/j@%d", lot)), i))
		}
	}
	return all
}

// TestARollIsAMap does to both what chance says, and finds them equal.
func TestARollIsAMap(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	var got Of[int]
	want, all := map[job.RunID]int{}, ids()
	for range 20_000 {
		id := all[chance.IntN(len(all))]
		switch n := chance.Int(); chance.IntN(5) {
		case 0, 1:
			got.Put(id, n)
			want[id] = n
		case 2, 3:
			got.Delete(id)
			delete(want, id)
		default:
			kept, ok := got.Get(id)
			if k, is := want[id]; k != kept || is != ok || got.At(id) != k {
				t.Fatalf("got %d, %v of %q, want %d, %v", kept, ok, id, k, is)
			}
		}
		if got.Len() != len(want) {
			t.Fatalf("got something of %d runs, want %d", got.Len(), len(want))
		}
	}
	if all := maps.Collect(got.All()); !maps.Equal(all, want) {
		t.Errorf("got %v, want %v", all, want)
	}
	for id := range want {
		got.Delete(id)
	}
	if got.Len() != 0 || len(got.lots) != 0 || len(got.alone) != 0 || got.last != nil {
		t.Errorf("%d runs, %d lots and %d others are left", got.Len(), len(got.lots), len(got.alone))
	}
}

// TestWhoRangesMayDelete deletes each run that it comes by, and some others.
func TestWhoRangesMayDelete(t *testing.T) {
	var o Of[int]
	all := ids()
	for i, id := range all {
		o.Put(id, i)
	}
	for id, i := range o.All() {
		if all[i] != id || o.At(id) != i {
			t.Errorf("got %q with %d, want %q", id, i, all[i])
		}
		o.Delete(id)
		o.Delete(all[(i+1)%len(all)])
	}
	if o.Len() > 0 {
		t.Errorf("%d runs are left", o.Len())
	}
}

// TestRunsOfALotTakeNoAllocationsOfTheirOwn keeps something of all runs of a lot: what
// that takes are its pages.
func TestRunsOfALotTakeNoAllocationsOfTheirOwn(t *testing.T) {
	all := make([]job.RunID, job.MaxLot)
	for i := range all {
		all[i] = job.InLot("n/j@1", i)
	}
	const most = job.MaxLot/pageRuns + 4
	got := testing.AllocsPerRun(10, func() {
		var o Of[*int]
		for _, id := range all {
			o.Put(id, nil)
		}
		for _, id := range all {
			if _, ok := o.Get(id); !ok {
				t.Fatalf("nothing is kept of %q", id)
			}
			o.Delete(id)
		}
	})
	if got > most {
		t.Errorf("%d runs take %v allocations, want at most %d", len(all), got, most)
	}
}

// BenchmarkRollAndMap puts in ten thousand runs, looks them up and deletes them: the
// time is that of each.
func BenchmarkRollAndMap(b *testing.B) {
	all := make([]job.RunID, 0, 10*job.MaxLot)
	for lot := range 10 {
		for i := range job.MaxLot {
			all = append(all, job.InLot(job.RunID(fmt.Sprintf("default/small@20260329T030000Z-k3x9zq2%d", lot)), i))
		}
	}
	b.Run("roll", func(b *testing.B) {
		var o Of[*int]
		for i := 0; i < b.N; i += len(all) {
			for _, id := range all {
				o.Put(id, nil)
			}
			for _, id := range all {
				o.Get(id)
			}
			for _, id := range all {
				o.Delete(id)
			}
		}
	})
	b.Run("map", func(b *testing.B) {
		m := map[job.RunID]*int{}
		for i := 0; i < b.N; i += len(all) {
			for _, id := range all {
				m[id] = nil
			}
			for _, id := range all {
				_ = m[id]
			}
			for _, id := range all {
				delete(m, id)
			}
		}
	})
}
