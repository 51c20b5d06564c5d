package job_test

import (
	"slices"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// TestTheIDOfARunInALotSaysWhereItIs and is in the order of the numbers.
func TestTheIDOfARunInALotSaysWhereItIs(t *testing.T) {
	var ids []job.RunID
	for i := range job.MaxLot {
		id := job.InLot("a/b@20260329T030000Z-k3x9zq2p", i)
		if lot, n, ok := job.LotOf(id); !ok || lot != "a/b@20260329T030000Z-k3x9zq2p" || n != i {
			t.Fatalf("%q is run %d of lot %q: %v", id, n, lot, ok)
		}
		ids = append(ids, id)
	}
	if ids[17] != "a/b@20260329T030000Z-k3x9zq2p.0017" || !slices.IsSorted(ids) {
		t.Errorf("got %q, and the IDs are not in order", ids[17])
	}
	for _, id := range []job.RunID{"", ".0001", "a/b@1", "a/b@1.001", "a/b@1.00001", "a/b@1.000x", "a/b@1.0017#2", "a/b@1.1024", "a/b@1.9999"} {
		if lot, i, ok := job.LotOf(id); ok {
			t.Errorf("%q is run %d of lot %q", id, i, lot)
		}
	}
}
