package membership

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func crowd(from, to int) (members []Member) {
	for i := from; i < to; i++ {
		members = append(members, Member{ID: fmt.Sprintf("n%04d", i), Addr: fmt.Sprintf("10.0.0.1:%d", i)})
	}
	return members
}

func knownIDs(k *known, now time.Time) map[string]bool {
	ids := map[string]bool{}
	for _, p := range k.peers(now) {
		ids[p.ID] = true
	}
	return ids
}

// A cluster in which nothing happens for months is known all that time, in
// memory and by the file, and for a month after it is gone.
func TestMembersAreNotForgottenWhileTheyAreHere(t *testing.T) {
	dir := t.TempDir()
	k, err := loadKnown(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	members := crowd(0, 3)
	for range 90 * 2 {
		now = now.Add(refreshing)
		if !k.see(members, "n0000", now) {
			t.Fatal("the time was not refreshed")
		}
		if !k.see(members, "n0000", now.Add(time.Hour)) || k.save() != nil {
			t.Fatal("what is to be saved was not")
		}
		if k.see(members, "n0000", now.Add(2*time.Hour)) {
			t.Fatal("there is nothing to save so soon")
		}
	}
	again, err := loadKnown(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*known{k, again} {
		if got := knownIDs(k, now.Add(forgetting/2)); len(got) != 2 || got["n0000"] {
			t.Errorf("got %v, want the two others", got)
		}
		if got := knownIDs(k, now.Add(2*forgetting)); len(got) > 0 {
			t.Errorf("still known: %v", got)
		}
	}
}

func TestNewMembersTakeThePlaceOfThoseAwayForLongest(t *testing.T) {
	k, _ := loadKnown("")
	now := time.Now()
	k.see(crowd(0, 10), "", now)
	k.see(crowd(10, maxKnown), "", now.Add(24*time.Hour)) // the first ten are away
	now = now.Add(48 * time.Hour)
	k.see(crowd(10, maxKnown+4), "", now)
	got := knownIDs(k, now)
	if len(got) != maxKnown {
		t.Fatalf("got %d, want %d", len(got), maxKnown)
	}
	for _, m := range crowd(10, maxKnown+4) {
		if !got[m.ID] {
			t.Errorf("%s is here and not known", m.ID)
		}
	}
	// More than there is room for change nothing each time they are seen.
	k.see(crowd(0, 2*maxKnown), "", now)
	k.dirty = false
	k.see(crowd(0, 2*maxKnown), "", now)
	if k.dirty {
		t.Error("the same members are written down again and again")
	}
}

// TestWhoDisownsItsPoolDoesNotRememberIt disowns members, and sees them again
// before it is gone.
func TestWhoDisownsItsPoolDoesNotRememberIt(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	k, err := loadKnown(dir)
	if err != nil {
		t.Fatal(err)
	}
	life, err := k.begin(now)
	if err != nil {
		t.Fatal(err)
	}
	others := []Member{{ID: "other", Addr: "127.0.0.1:1"}}
	k.see(others, "self", now)
	if err := errors.Join(k.save(), k.disown()); err != nil {
		t.Fatal(err)
	}
	k.see(others, "self", now)
	if err := k.save(); err != nil {
		t.Fatal(err)
	}
	again, err := loadKnown(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.peers(now); len(got) > 0 {
		t.Errorf("got %v, want none", got)
	}
	if next, err := again.begin(now); err != nil || next <= life {
		t.Errorf("got life %d, %v, want one after %d", next, err, life)
	}
}
