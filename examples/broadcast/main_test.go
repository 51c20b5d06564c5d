package main

import (
	"strings"
	"testing"
)

func TestEveryNodeGetsTheTableThatWasFetchedOnce(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := `node a: version 0 to 1, 3 prices changed
node b: version 0 to 1, 3 prices changed
node c: version 0 to 1, 3 prices changed
node a: version 1 to 2, 1 prices changed
node b: version 1 to 2, 1 prices changed
node c: version 1 to 2, 1 prices changed
`
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
