package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// checkDoors complains of libraries that are imported past their door, or that
// have none.
func checkDoors(doors []door, rooms []room, files []*file) (complaints []string) {
	for _, a := range arrowsOf(files) {
		if !a.library() {
			continue
		}
		d, ok := doorOf(doors, a.to)
		if !ok {
			complaints = append(complaints, fmt.Sprintf("%v: the library has no door: a new dependency arrives alone, "+
				"with its reason and a line in the table of doors", a))
			continue
		}
		who := strings.Fields(d.rooms)
		at := floor(rooms, a.dir)
		switch {
		case d.rooms == "*", at >= 0 && slices.Contains(who, rooms[at].dir):
		case d.rooms == "tests":
			if !a.test && !suite(a.dir) {
				complaints = append(complaints, fmt.Sprintf("%v: only tests may, because %s", a, d.why))
			}
		default:
			complaints = append(complaints, fmt.Sprintf("%v: only %s may, because %s: ask %s for what is needed",
				a, strings.Join(who, ", "), d.why, who[0]))
		}
	}
	return complaints
}

// doorOf returns the door of the longest library path that p is below.
func doorOf(doors []door, p string) (best door, ok bool) {
	for _, d := range doors {
		if below(p, d.library) && len(d.library) > len(best.library) {
			best, ok = d, true
		}
	}
	return best, ok
}
