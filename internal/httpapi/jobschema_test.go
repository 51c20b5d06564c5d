package httpapi

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// TestTheSchemaOfJobsHasAllThatItNamesAndNoMore follows its references.
func TestTheSchemaOfJobsHasAllThatItNamesAndNoMore(t *testing.T) {
	b, err := JobSchema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Parts map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, ref := range regexp.MustCompile(`"\$ref": "([^"]*)"`).FindAllStringSubmatch(string(b), -1) {
		name, ok := strings.CutPrefix(ref[1], "#/$defs/")
		if named[name] = true; !ok || schema.Parts[name] == nil {
			t.Errorf("%q is not in it", ref[1])
		}
	}
	for name := range schema.Parts {
		if !named[name] {
			t.Errorf("%s is in it, and nothing is of it", name)
		}
	}
	if !named["Spec"] || !named["Schedule"] {
		t.Errorf("got %v, want jobs with their schedules", named)
	}
}
