package scheduler

import "testing"

func TestAdmissionKeepsBothLimits(t *testing.T) {
	a := NewAdmission(3)
	if !a.May("x", 1) {
		t.Fatal("nothing runs and x may not begin")
	}
	a.Begin("x")
	if a.May("x", 1) {
		t.Error("a second run of x may begin, over its limit of 1")
	}
	a.Begin("y")
	if !a.May("y", 0) {
		t.Error("a second run of y may not begin, which has no limit")
	}
	a.Begin("y")
	if a.May("z", 0) || a.Room() {
		t.Error("a fourth run may begin, over the limit of 3")
	}
	a.End("x")
	if !a.May("x", 1) {
		t.Error("x may not begin again after its run has ended")
	}
	if job, total := a.Running("y"); job != 2 || total != 2 {
		t.Errorf("got %d of y and %d in all, want 2 and 2", job, total)
	}
}

func TestAdmissionMayGoOverWhatWasLoweredSince(t *testing.T) {
	a := NewAdmission(1)
	a.Begin("x")
	a.Begin("x") // taken over from a leader with a higher limit
	a.End("x")
	if a.Room() {
		t.Error("there is room at the limit")
	}
	a.End("x")
	if !a.Room() {
		t.Error("there is no room below the limit")
	}
}
