package archtest

import (
	"fmt"
	"slices"
)

// checkSleep complains of tests that wait for time instead of an event. Under
// testing/synctest, where a sleep takes none, they may.
func checkSleep(files []*file) (complaints []string) {
	sleep := []vice{{"time", among("Sleep"), ""}}
	for _, f := range files {
		names, _ := nicknames(f, sleep)
		bubble := slices.ContainsFunc(arrowsOf([]*file{f}), func(a arrow) bool { return a.to == "testing/synctest" })
		if !f.test || bubble {
			continue
		}
		for pkg, sel := range selections(f) {
			if names[pkg] == "time" && sel.Sel.Name == "Sleep" {
				complaints = append(complaints, fmt.Sprintf("%s sleeps: it is too short on a busy machine and too long on all others: "+
					"wait for the event, or use testing/synctest", f.at(sel)))
			}
		}
	}
	return complaints
}
