package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"go.yaml.in/yaml/v3"
)

// formats are how bodies may be written: what a script sends and reads is JSON,
// what people keep in files may be YAML. Both say the same, field by field.
var formats = map[string]huma.Format{
	"application/json": huma.DefaultJSONFormat,
	"json":             huma.DefaultJSONFormat,
	"application/yaml": yamlFormat,
	"yaml":             yamlFormat,
}

var yamlFormat = huma.Format{Marshal: writeYAML, Unmarshal: readYAML}

// writeYAML writes what the value is in JSON, with the fields in their order.
func writeYAML(w io.Writer, v any) error { return writeOrdered(w, v) }

// writeOrdered is writeYAML with some fields of the whole before all others.
func writeOrdered(w io.Writer, v any, first ...string) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil { // JSON is YAML
		return fmt.Errorf("httpapi: %w", err)
	}
	inBlocks(&doc)
	forward(doc.Content[0], first)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return fmt.Errorf("httpapi: %w", err)
	}
	return e.Close()
}

// forward puts fields before the others of a mapping.
func forward(n *yaml.Node, first []string) {
	var ahead, rest []*yaml.Node
	for _, name := range first {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				ahead = append(ahead, n.Content[i], n.Content[i+1])
			}
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !slices.Contains(first, n.Content[i].Value) {
			rest = append(rest, n.Content[i], n.Content[i+1])
		}
	}
	if len(first) > 0 {
		n.Content = append(ahead, rest...)
	}
}

// inBlocks takes the braces and quotes of JSON away, where YAML needs none.
func inBlocks(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		inBlocks(c)
	}
}

// readYAML reads a document into a value that says how it is read from JSON.
func readYAML(b []byte, v any) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("no YAML: %w", err)
	}
	timesAsText(&doc)
	var plain any
	if err := doc.Decode(&plain); err != nil { // it refuses aliases that explode
		return fmt.Errorf("no YAML: %w", err)
	}
	j, err := json.Marshal(plain)
	if err != nil {
		return fmt.Errorf("YAML that JSON has no word for: %w", err)
	}
	return json.Unmarshal(j, v)
}

// timesAsText keeps what looks like a time as it was written: which fields are
// times is ours to say.
func timesAsText(n *yaml.Node) {
	if n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content { // of an alias it is where the anchor is
		timesAsText(c)
	}
}
