package benchmarks_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines that outlive their pool. Those of a library
// that runs some from its import on are there before the first.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }
