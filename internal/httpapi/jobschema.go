package httpapi

import (
	"encoding/json"
	"errors"
	"strings"
)

// JobSchema returns the JSON schema of files with jobs, for editors: a job, or
// several under jobs. It has the parts of the description of the API that those
// are made of.
func JobSchema() ([]byte, error) {
	b, err := json.Marshal(newServer(&Config{}).api.OpenAPI().Components.Schemas)
	if err != nil {
		return nil, err
	}
	var all map[string]map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	parts := map[string]any{}
	var take func(v any)
	take = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				name := strings.TrimPrefix(ref, "#/components/schemas/")
				v["$ref"] = "#/$defs/" + name
				if _, taken := parts[name]; !taken && all[name] != nil {
					parts[name] = all[name]
					take(all[name])
				}
			}
			for _, inner := range v {
				take(inner)
			}
		case []any:
			for _, inner := range v {
				take(inner)
			}
		}
	}
	root := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Jobs of muster",
		"description": "What muster job apply -f reads: a job, or several under jobs.",
		"if":          map[string]any{"required": []any{"jobs"}},
		"then":        map[string]any{"$ref": "#/components/schemas/Specs"},
		"else":        map[string]any{"$ref": "#/components/schemas/Spec"},
		"$defs":       parts,
	}
	take(root["then"])
	take(root["else"])
	for _, name := range []string{"Spec", "Specs"} {
		part, _ := parts[name].(map[string]any)
		fields, ok := part["properties"].(map[string]any)
		if !ok {
			return nil, errors.New("httpapi: the description has no schema " + name)
		}
		fields["$schema"] = map[string]any{"type": "string", "description": "Where this schema is, for editors."}
	}
	return json.MarshalIndent(root, "", "  ")
}
