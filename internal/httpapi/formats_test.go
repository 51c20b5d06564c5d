package httpapi

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
)

// TestYAMLSaysWhatJSONDoes writes a spec and reads it back.
func TestYAMLSaysWhatJSONDoes(t *testing.T) {
	want := api.Spec{
		Name: "nightly", Processor: "report", Params: "2026-03-01", AttemptTimeout: api.Duration(90e9), Mode: "map",
		Input: api.Input{Values: []any{"no", "0x10", 1.5, nil, map[string]any{"a": true}}}, Schedule: api.Schedule{When: "30 2 * * *"},
	}
	var b bytes.Buffer
	if err := writeYAML(&b, want); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "attempt_timeout: 1m30s\n") || strings.ContainsAny(b.String(), "{[") {
		t.Errorf("got %s, want it as people write it", b.String())
	}
	var got api.Spec
	if err := readYAML(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestATimeInYAMLIsTheTextThatItWas(t *testing.T) {
	var got struct {
		Params string `json:"params"`
	}
	if err := readYAML([]byte("params: 2026-03-01\n"), &got); err != nil {
		t.Fatal(err)
	}
	if got.Params != "2026-03-01" {
		t.Errorf("got %q, want what was written", got.Params)
	}
}

func TestWhatIsNoYAMLIsRefused(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		prev, next := string(rune('0'+i)), string(rune('1'+i))
		bomb += "a" + next + ": &a" + next + " [" + strings.Repeat("*a"+prev+", ", 8) + "*a" + prev + "]\n"
	}
	for _, text := range []string{"a: [", "1: 2\na: .nan", "a: .inf", "? [a]\n: b", bomb} {
		var got any
		if err := readYAML([]byte(text), &got); err == nil {
			t.Errorf("%.40q: got %v, want an error", text, got)
		}
	}
}
