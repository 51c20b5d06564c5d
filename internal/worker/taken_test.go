package worker

import (
	"math/rand/v2"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// TestTakenIsASet compares it with a map, of attempts that come in rows, as those
// of a master do, and by chance. Numbers that no task has are no exception.
func TestTakenIsASet(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	type attempt struct {
		id job.TaskID
		n  int
	}
	want := map[attempt]bool{}
	var got taken
	for range 2000 {
		a := attempt{job.TaskID{Kind: []job.Kind{job.KindBefore, job.KindMap}[r.IntN(2)], N: r.IntN(4*pageTasks) - pageTasks}, 1 + r.IntN(2)}
		row, remove := 1+r.IntN(2)*r.IntN(pageTasks), r.IntN(2) == 0
		for range row {
			if has := got.has(a.id, a.n); has != want[a] {
				t.Fatalf("has(%v, %d) is %v, want %v", a.id, a.n, has, want[a])
			}
			if remove {
				got.remove(a.id, a.n)
				delete(want, a)
			} else {
				got.add(a.id, a.n)
				want[a] = true
			}
			a.id.N++
		}
		if got.n != len(want) {
			t.Fatalf("there are %d in it, want %d", got.n, len(want))
		}
	}
	for a := range want {
		got.remove(a.id, a.n)
	}
	if got.n != 0 || len(got.pages) != 0 {
		t.Errorf("%d are left on %d pages of a set that is empty, want none", got.n, len(got.pages))
	}
}
