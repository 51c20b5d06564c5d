package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestThreeNodesFindEveryPrimeOnce(t *testing.T) {
	const below = 10_000
	var composite [below]bool // by the sieve, which is another way to know
	primes, sum := 0, 0
	for n := 2; n < below; n++ {
		if composite[n] {
			continue
		}
		primes, sum = primes+1, sum+n
		for m := n * n; m < below; m += n {
			composite[m] = true
		}
	}

	var out strings.Builder
	if err := run(t.Context(), &out, strconv.Itoa(below)); err != nil {
		t.Fatal(err)
	}
	first, shares, _ := strings.Cut(out.String(), "\n")
	if want := fmt.Sprintf("the %d primes below %d add up to %d", primes, below, sum); first != want {
		t.Errorf("got %q, want %q", first, want)
	}

	// One root, its blocks and their pieces, and the reduce step.
	const tasks = 1 + parts + parts*parts + 1
	done := 0
	for line := range strings.Lines(shares) {
		var name string
		var n, of int
		if _, err := fmt.Sscanf(line, "  node %s did %d of %d tasks", &name, &n, &of); err != nil || of != tasks {
			t.Errorf("got %q and %v, want a node's share of %d tasks", line, err, tasks)
		}
		done += n
	}
	if done != tasks {
		t.Errorf("the nodes did %d tasks, want %d", done, tasks)
	}
}

func TestWhatIsNoNumberIsNotTriedAgain(t *testing.T) {
	err := run(t.Context(), &strings.Builder{}, "many")
	if err == nil || !strings.Contains(err.Error(), `Params "many": want a number`) {
		t.Errorf("got %v, want an error that names the value", err)
	}
}
