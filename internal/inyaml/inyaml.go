// Package inyaml writes values as YAML, and reads them, by what they are in
// JSON: names of fields, texts of durations and what is left out are said once,
// by the JSON of a type.
package inyaml

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Write writes a document: v, with its fields in their order, but those called
// first before all others.
func Write(w io.Writer, v any, first ...string) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil { // JSON is YAML
		return fmt.Errorf("inyaml: %T: %w", v, err)
	}
	inBlocks(&doc)
	forward(doc.Content[0], first)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return fmt.Errorf("inyaml: %T: %w", v, err)
	}
	return e.Close()
}

// inBlocks takes the braces and quotes of JSON away, where YAML needs none.
func inBlocks(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		inBlocks(c)
	}
}

// forward puts fields before the others of a mapping.
func forward(n *yaml.Node, first []string) {
	var ahead, rest []*yaml.Node
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if !slices.Contains(first, n.Content[i].Value) {
			rest = append(rest, n.Content[i], n.Content[i+1])
		}
	}
	for _, name := range first {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				ahead = append(ahead, n.Content[i], n.Content[i+1])
			}
		}
	}
	if len(ahead) > 0 {
		n.Content = append(ahead, rest...)
	}
}

// Read reads a document into v, a pointer. Errors are those of encoding/json
// where it is right as YAML.
func Read(b []byte, v any) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("no YAML: %w", err)
	}
	return Decode(&doc, v)
}

// Decode is Read for a part of a document, which it may change.
func Decode(n *yaml.Node, v any) error {
	timesAsText(n)
	var plain any
	if err := n.Decode(&plain); err != nil { // it refuses aliases that explode
		return fmt.Errorf("no YAML: %w", err)
	}
	b, err := json.Marshal(exact(plain))
	if err != nil {
		return fmt.Errorf("YAML that JSON has no word for: %w", err)
	}
	return json.Unmarshal(b, v)
}

// exact returns v with its floating-point numbers as texts that say so: 2.0 is
// not 2.
func exact(v any) any {
	switch v := v.(type) {
	case float64:
		b, err := json.Marshal(v)
		if err != nil || bytes.ContainsAny(b, ".e") {
			return v
		}
		return json.Number(string(b) + ".0")
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = exact(v[k])
		}
	}
	return v
}

// timesAsText keeps what looks like a time as it was written: which fields are
// times is not for YAML to say.
func timesAsText(n *yaml.Node) {
	if n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content { // of an alias it is where the anchor is
		timesAsText(c)
	}
}
