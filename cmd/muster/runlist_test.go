package main

import (
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/node"
)

// TestRunsAreListedByTimeAndTag of one namespace and of all.
func TestRunsAreListedByTimeAndTag(t *testing.T) {
	n := agent(t, node.Config{})
	muster(t, n, "job", "put", "b", "--processor", "sleep", "--tag", "red")
	muster(t, n, "job", "put", "c", "--processor", "sleep")
	muster(t, n, "job", "put", "other/a", "--processor", "sleep", "--tag", "red,blue")
	run := func(args ...string) string {
		return strings.TrimSpace(muster(t, n, append([]string{"job", "run"}, args...)...))
	}
	first, second, third := run("c", "--tag", "red"), run("other/a"), run("b", "--tag", "green")
	for args, want := range map[string][]string{
		"":                          {third, first},
		"--sort created":            {first, third},
		"--sort job":                {third, first},
		"--sort -job":               {first, third},
		"-A":                        {third, second, first},
		"-A --sort created":         {first, second, third},
		"-A --limit 1":              {third, second},
		"-A --tag red":              {third, second, first},
		"--tag red --tag green":     {third},
		"-n other --tag blue":       {second},
		"--tag blue":                nil,
		"--tag red --job c":         {first},
		"--tag red --until 1h":      nil,
		"--tag red,green --from 1h": {third},
	} {
		got := strings.Fields(muster(t, n, append([]string{"run", "list", "-o", "name"}, strings.Fields(args)...)...))
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("run list %s: got %q, want %q", args, got, want)
		}
	}
	if got := muster(t, n, "run", "cancel", "--tag", "red", "--state", "pending", "--dry-run", "-n", "none"); !strings.Contains(got, "0") {
		t.Errorf("got %q, want that none are meant", got)
	}
	if got := muster(t, n, "run", "get", third); !strings.Contains(got, "red, green") {
		t.Errorf("got %q, want its tags", got)
	}
}
