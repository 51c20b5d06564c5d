package archtest

import (
	"os"
	"testing"
)

// house reads the module that this package is part of.
func house(t *testing.T) []*file {
	t.Helper()
	files, err := read(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("found no Go files: is the package still two levels below the root?")
	}
	return files
}

func report(t *testing.T, complaints []string) {
	t.Helper()
	for _, c := range complaints {
		t.Error(c)
	}
}

func TestTableOnlyPointsUpward(t *testing.T) { report(t, checkTable(rooms)) }

func TestArrowsAreThoseOfTheTable(t *testing.T) { report(t, checkArrows(rooms, house(t))) }

func TestLibrariesAreImportedThroughTheirDoor(t *testing.T) {
	report(t, checkDoors(doors, rooms, house(t)))
}

func TestEveryPackageSaysOnceWhatItIs(t *testing.T) { report(t, checkComments(house(t))) }

func TestEveryPackageIsNamedAfterSomething(t *testing.T) { report(t, checkNames(empty, house(t))) }

func TestPurePackagesArePure(t *testing.T) {
	files := house(t)
	report(t, checkPurity(pure, impure, "a pure package is a function of its arguments", files))
	report(t, checkGoroutines(pure, files))
}

func TestTheStateReadsNoClockAndDrawsNoNumbers(t *testing.T) {
	report(t, checkPurity(timeless, untimely, "the log entry carries it, so that every node comes to the same state", house(t)))
}

func TestTestsWaitForEventsAndNotForTime(t *testing.T) { report(t, checkSleep(house(t))) }
