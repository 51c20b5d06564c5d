package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// floor is the line of the table that dir's room is on, or -1.
func floor(rooms []room, dir string) int {
	return slices.IndexFunc(rooms, func(r room) bool { return below(dir, r.dir) })
}

// suite reports whether dir is a conformance suite, as store/storetest is:
// code for tests that lives beside what it tests.
func suite(dir string) bool {
	return path.Base(dir) == path.Base(path.Dir(dir))+"test"
}

// checkTable complains of rows that do not point upward.
func checkTable(rooms []room) (complaints []string) {
	for i, r := range rooms {
		for _, need := range strings.Fields(r.needs) {
			if need == "*" {
				continue
			}
			if at := slices.IndexFunc(rooms, func(r room) bool { return r.dir == need }); at < 0 || at >= i {
				complaints = append(complaints, fmt.Sprintf("table: %s needs %s, which is not on a line above it: "+
					"an arrow that points down ends in a circle", r.dir, need))
			}
		}
		if floor(rooms, r.dir) != i {
			complaints = append(complaints, fmt.Sprintf("table: %s has two lines, or is inside another room", r.dir))
		}
	}
	return complaints
}

// checkArrows complains of imports that the table does not have.
func checkArrows(rooms []room, files []*file) (complaints []string) {
	for _, f := range files {
		if f.dir != "." && floor(rooms, f.dir) < 0 {
			complaints = append(complaints, fmt.Sprintf("%s: %s is no room of the house: put the code where its word lives, "+
				"or give it a line in the table with its reason", f.path, f.dir))
		}
	}
	for _, a := range arrowsOf(files) {
		to, ours := a.inner()
		from := floor(rooms, a.dir)
		if !ours || from < 0 {
			continue
		}
		if why := refuse(rooms, a, rooms[from], to); why != "" {
			complaints = append(complaints, fmt.Sprintf("%v: %s", a, why))
		}
	}
	return complaints
}

// refuse says why a, from one of r's files to the package in dir to, may not
// be, and what to do.
func refuse(rooms []room, a arrow, r room, to string) string {
	at := floor(rooms, to)
	switch {
	case at < 0:
		return fmt.Sprintf("%s is no room of the house", to)
	case rooms[at].dir == r.dir:
		return "" // inside a room all is open
	case to != rooms[at].dir && !suite(to) && !slices.Contains(streets, rooms[at].dir):
		return fmt.Sprintf("%s is inside %s: go through its door, the package %s itself", to, rooms[at].dir, rooms[at].dir)
	}
	testing := a.test || suite(a.dir)
	if suite(to) && !testing {
		return fmt.Sprintf("%s is for tests: only they may import it", to)
	}
	lower := at < floor(rooms, r.dir)
	switch {
	case testing && (lower || slices.Contains([]string{"internal/simnet", "pkg/nodetest"}, rooms[at].dir)):
		return ""
	case testing:
		return fmt.Sprintf("%s stands on %s, so its tests cannot: a test may use what is above its room in the table, internal/simnet and pkg/nodetest; "+
			"move this one to %s", to, r.dir, to)
	case r.needs == "*" && lower || slices.Contains(strings.Fields(r.needs), rooms[at].dir):
		return ""
	}
	may := "nothing of the house"
	if needs := strings.Fields(r.needs); len(needs) > 0 && r.needs != "*" {
		may = "only " + strings.Join(needs, ", ")
	}
	if r.needs == "*" {
		may = "only what is above it"
	}
	return fmt.Sprintf("%s may import %s, because %s: move the code to where both are known, "+
		"or let %s say what it needs as an interface of its own", r.dir, may, r.why, r.dir)
}
