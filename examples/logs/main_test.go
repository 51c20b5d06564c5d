package main

import (
	"strings"
	"testing"
)

func TestWhatTasksAndTheirProcessesLogIsFollowedAndFound(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"m0 INFO begins [{bytes 18}]\nm0 INFO one [{stream stdout}]\nm0 INFO two [{stream stdout}]\n",
		"m1 INFO begins [{bytes 32}]\nm1 WARN this went wrong [{stream stderr}]\n",
		"the run has failed: true\nbecause of m1 on a: this went wrong\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant in it\n%s", out.String(), want)
		}
	}
}
