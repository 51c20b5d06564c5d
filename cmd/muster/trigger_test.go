package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func triggerOutput(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := command()
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(append([]string{"trigger"}, args...))
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestTriggerNextPrintsAListOfFires(t *testing.T) {
	out, err := triggerOutput(t, "next", "30 2 * * *", "--zone", "America/New_York", "--after", "2026-03-07T12:00:00Z", "-n", "2", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var fires []struct {
		At, Local string
		Notes     []string
	}
	if err := json.Unmarshal([]byte(out), &fires); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	if len(fires) != 2 || fires[0].At != "2026-03-08T07:30:00Z" || fires[0].Local != "2026-03-08T03:30:00-04:00" || len(fires[0].Notes) != 1 || len(fires[1].Notes) != 0 {
		t.Errorf("got %s", out)
	}
}

func TestTriggerNextDescribesInWords(t *testing.T) {
	out, err := triggerOutput(t, "next", "0 9 * * mon-fri", "--after", "2026-01-01T00:00:00Z", "-n", "1")
	want := "at 09:00, on Monday to Friday\nAT                    LOCAL                 NOTES\n2026-01-01T09:00:00Z  2026-01-01T09:00:00Z  -\n"
	if err != nil || out != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
	for expr, want := range map[string]string{
		"manual":    "not by itself",
		"every 10s": "every 10 seconds",
		"after 5m":  "2026-01-01T00:05:00Z",
		"every 5m":  "2026-01-01T00:05:00Z",
	} {
		if out, err := triggerOutput(t, "next", expr, "--after", "2026-01-01T00:00:00Z"); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: got %q, %v, want it to say %q", expr, out, err, want)
		}
	}
}

func TestTriggerNextRefusesWhatMakesNoSense(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"next"},
		{"next", "0 0 31 2 *"},
		{"next", "5-2 * * * *"},
		{"next", "every 0s"},
		{"next", "0 0 0 1 1 ? 2020"},
		{"next", "* * * * *", "--zone", "Mars"},
		{"next", "* * * * *", "--after", "yesterday"},
		{"next", "* * * * *", "-n", "0"},
		{"next", "* * * * *", "-o", "yaml"},
		{"next", "*", "*", "*", "*", "*"},
	} {
		if out, err := triggerOutput(t, args...); !errors.Is(err, errUsage) || out != "" {
			t.Errorf("%q: got %q and error %v, want one of usage", args, out, err)
		}
	}
}
