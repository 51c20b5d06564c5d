package transporttest

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// Bubble is synctest.Test for tests in which transports run. The session
// library keeps timers in a pool, and a timer must not go from one bubble to
// another, nor out of one; two collections empty the pool. So a test that uses
// Bubble must not run in parallel with others of its process that use
// transports.
func Bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	empty := func() {
		runtime.GC()
		runtime.GC()
	}
	empty()
	defer empty()
	synctest.Test(t, f)
}
