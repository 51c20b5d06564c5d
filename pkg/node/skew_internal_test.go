package node

import (
	"testing"
	"time"
)

func TestSkewIsToldWhenItIsCertain(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var s skew
	for i, c := range []struct {
		ahead, took   time.Duration
		much, changed bool
	}{
		{100 * time.Millisecond, time.Millisecond, false, false},
		{1500 * time.Millisecond, 2 * time.Second, false, false}, // the answer took too long to know
		{1500 * time.Millisecond, 10 * time.Millisecond, true, true},
		{-1500 * time.Millisecond, 10 * time.Millisecond, true, false},
		{900 * time.Millisecond, time.Second, true, false}, // it may be more
		{900 * time.Millisecond, time.Millisecond, false, true},
	} {
		much, changed := s.measure(at.Add(c.ahead-c.took/2), c.took, at)
		if much != c.much || changed != c.changed {
			t.Errorf("%d: %v ahead, told in %v: got %v, %v, want %v, %v", i, c.ahead, c.took, much, changed, c.much, c.changed)
		}
		if ahead, within := s.last(); ahead != c.ahead || within != c.took/2 {
			t.Errorf("%d: it is said to be %v ahead within %v", i, ahead, within)
		}
	}
}
