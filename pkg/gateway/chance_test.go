package gateway_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// document is what is read of the API's description.
type document struct {
	Paths      map[string]map[string]*described
	Components struct{ Schemas map[string]*schema }
}

// described is an operation.
type described struct {
	ID         string `json:"operationId"`
	Parameters []struct {
		Name, In string
		Required bool
		Schema   *schema
	}
	RequestBody *struct {
		Content map[string]struct{ Schema *schema }
	}
	Responses map[string]struct {
		Content map[string]any
	}
}

// schema says what a value may be.
type schema struct {
	Ref        string `json:"$ref"`
	Type       any    // a name, or several
	Enum       []any
	Items      *schema
	Properties map[string]*schema
	Required   []string
	Additional any `json:"additionalProperties"`
	Pattern    string
	Format     string
	Minimum    *float64
	Maximum    *float64
	MinLength  int
	MaxLength  *int
}

// gambler makes requests by chance.
type gambler struct {
	*rand.Rand
	doc *document
	// known are words that mean something, by the name of the field that they
	// are for.
	known map[string][]string
}

func (g *gambler) pick(words []string) string { return words[g.IntN(len(words))] }

// valid returns a value that a schema allows, for a field of a name.
func (g *gambler) valid(name string, s *schema, depth int) any {
	if s.Ref != "" {
		return g.valid(name, g.doc.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")], depth)
	}
	if len(s.Enum) > 0 {
		return s.Enum[g.IntN(len(s.Enum))]
	}
	kind, _ := s.Type.(string)
	if kinds, ok := s.Type.([]any); ok {
		kind, _ = kinds[0].(string)
	}
	switch kind {
	case "object":
		return g.object(s, depth)
	case "array":
		list := make([]any, g.IntN(3))
		for i := range list {
			list[i] = g.valid(name, s.Items, depth+1)
		}
		return list
	case "integer", "number":
		return g.number(s, kind)
	case "boolean":
		return g.IntN(2) == 0
	case "string":
		return g.text(name, s)
	}
	return []any{nil, 1, "x", true, []any{1, "y"}, map[string]any{"a": 1}}[g.IntN(6)]
}

func (g *gambler) object(s *schema, depth int) any {
	out := map[string]any{}
	for _, name := range s.Required {
		out[name] = g.valid(name, s.Properties[name], depth+1)
	}
	for name, p := range s.Properties {
		if _, there := out[name]; !there && g.IntN(3+2*depth) == 0 {
			out[name] = g.valid(name, p, depth+1)
		}
	}
	if extra, ok := s.Additional.(map[string]any); ok && extra["type"] == "string" {
		if words, ok := extra["enum"].([]any); ok {
			out[g.pick(strange)] = words[g.IntN(len(words))]
		} else {
			out[g.pick(strange)] = g.pick(strange)
		}
	}
	return out
}

// number returns a small number: what is large is allowed, and takes long.
func (g *gambler) number(s *schema, kind string) any {
	least, most := 0.0, 20.0
	if s.Minimum != nil {
		least = *s.Minimum
	}
	if s.Maximum != nil {
		most = min(*s.Maximum, least+20)
	}
	n := least + g.Float64()*(most-least)
	if kind == "integer" {
		return int64(n)
	}
	return n
}

func (g *gambler) text(name string, s *schema) string {
	if words := g.known[name]; len(words) > 0 && g.IntN(8) > 0 {
		return g.pick(words)
	}
	switch {
	case s.Format == "date-time":
		return time.Date(2026, 3, 1+g.IntN(20), g.IntN(24), 0, 0, 0, time.UTC).Format(time.RFC3339)
	case strings.Contains(s.Pattern, "ns|us|ms"):
		return fmt.Sprint(g.IntN(90), g.pick([]string{"ms", "s", "m", "h"}))
	case strings.HasPrefix(s.Pattern, "^[bmr]"):
		return fmt.Sprint(g.pick([]string{"b", "m", "r"}), g.IntN(10))
	case s.Pattern != "":
		return fmt.Sprint(g.IntN(100))
	}
	t := g.pick(strange)
	if s.MaxLength != nil {
		t = t[:min(len(t), *s.MaxLength)]
	}
	if len(t) < s.MinLength {
		return "word"
	}
	return t
}

// strange is text that something may stumble over.
var strange = []string{
	"", "a", "word", "two words", "a/b", "../..", "%2e%2e", "a@b#2", "ünïcødé", "\u202eRTL", "nul\x00", "line\nfeed", "'; drop table jobs; --",
	"{}", "[1]", "null", "true", "-1", "1e999", "99999999999999999999", "2026-02-30T00:00:00Z", "every 1s", "* * * * *", "🙂", strings.Repeat("x", 5000),
}

// spoil makes something of a value that is not as it should be.
func (g *gambler) spoil(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 && g.IntN(4) > 0 {
			for name := range v { // any will do
				v[name] = g.spoil(v[name])
				return v
			}
		}
		v[g.pick(strange)] = g.junk()
		return v
	case []any:
		if len(v) > 0 && g.IntN(2) == 0 {
			i := g.IntN(len(v))
			v[i] = g.spoil(v[i])
			return v
		}
	}
	return g.junk()
}

func (g *gambler) junk() any {
	return []any{
		nil, -1, 1 << 40, -(1 << 62), 0.5, 1e300, true, g.pick(strange),
		[]any{},
		map[string]any{},
		[]any{nil, nil},
		map[string]any{"": ""},
		strings.Repeat("[", 100),
	}[g.IntN(13)]
}

// body returns a body for an operation: mostly what is asked for, or something
// else.
func (g *gambler) body(op *described, bad bool) (body, contentType string) {
	if op.RequestBody == nil {
		if bad && g.IntN(4) == 0 {
			return `{"nobody":"asked"}`, "application/json"
		}
		return "", ""
	}
	v := g.valid("", op.RequestBody.Content["application/json"].Schema, 0)
	if bad && g.IntN(3) > 0 {
		v = g.spoil(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte(`{`)
	}
	contentType = "application/json"
	if g.IntN(3) == 0 {
		contentType = "application/yaml" // of which JSON is a part
	}
	if bad {
		switch g.IntN(8) {
		case 0:
			b = b[:g.IntN(len(b)+1)]
		case 1:
			contentType = g.pick([]string{"text/plain", "application/xml", ";", "application/json; charset=latin1", "a+b"})
		case 2:
			b = []byte(g.pick(strange))
		case 3:
			b = []byte("&a [*a, *a]")
		}
	}
	return string(b), contentType
}
