package inyaml_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/inyaml"
)

// season is a type that says how it is written in JSON.
type season struct {
	Name    string   `json:"name"`
	Began   duration `json:"began,omitzero"`
	Never   string   `json:"never,omitempty"`
	Day     string   `json:"day"`
	Inside  inside   `json:"inside"`
	Unnamed string   `json:"-"`
}

type inside struct {
	Values []any `json:"values"`
}

type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	*d = duration(parsed)
	return err
}

// TestYAMLSaysWhatJSONDoes writes a value and reads it back.
func TestYAMLSaysWhatJSONDoes(t *testing.T) {
	want := season{
		Name: "spring", Began: duration(90 * time.Second), Day: "2026-03-01",
		Inside: inside{[]any{"no", "0x10", 1.5, nil, map[string]any{"a": true}}},
	}
	var b bytes.Buffer
	if err := inyaml.Write(&b, want, "day", "name"); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), "day: \"2026-03-01\"\nname: spring\nbegan: 1m30s\ninside:\n") || strings.ContainsAny(b.String(), "{[") {
		t.Errorf("got %s, want it as people write it, and in order", b.String())
	}
	var got season
	if err := inyaml.Read(b.Bytes(), &got); err != nil {
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
	if err := inyaml.Read([]byte("params: 2026-03-01\n"), &got); err != nil {
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
		if err := inyaml.Read([]byte(text), &got); err == nil {
			t.Errorf("%.40q: got %v, want an error", text, got)
		}
	}
}
