package main

import (
	"os"
	"testing"
)

// asMain has the test binary be muster, for scripts.
const asMain = "MUSTER_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	m.Run()
}
