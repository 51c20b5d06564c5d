package wire

import (
	"runtime/metrics"
	"testing"
)

// modest fails if decode, which is given n bytes, allocates far more than
// that. The runtime counts small allocations by the page and some late, hence
// the constant.
func modest(t *testing.T, n int, decode func()) {
	t.Helper()
	before := allocated()
	decode()
	if got, most := allocated()-before, uint64(4<<20+100*n); got > most {
		t.Fatalf("%d bytes were allocated to decode %d, want at most %d", got, n, most)
	}
}

func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
