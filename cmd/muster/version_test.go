package main

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/node"
)

func TestVersionSaysWhatABinaryWasBuiltFrom(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range [][]string{{"version"}, {"version", self}} {
		out, _, err := execute(t, of...)
		if want := "muster " + node.Version + " for " + runtime.GOOS + "/" + runtime.GOARCH + ", by " + runtime.Version(); err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%v: got %q, %v, want %q", of, out, err, want)
		}
	}
	out, _, err := execute(t, "version", "-o", "json")
	var b build
	if err != nil || json.Unmarshal([]byte(out), &b) != nil || b.Version != node.Version || b.Go != runtime.Version() {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestABillOfMaterialsNamesEveryModuleAndIsTheSameEachTime(t *testing.T) {
	out, _, err := execute(t, "version", "-o", "cyclonedx")
	if err != nil {
		t.Fatal(err)
	}
	var b bill
	if err := json.Unmarshal([]byte(out), &b); err != nil {
		t.Fatal(err)
	}
	if b.Format != "CycloneDX" || b.Spec != "1.6" || !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.Serial) {
		t.Errorf("got a %s %s with the number %s", b.Format, b.Spec, b.Serial)
	}
	refs, on := map[string]bool{}, map[string]bool{}
	for _, m := range b.Components {
		if refs[m.Ref] {
			t.Errorf("%s is there twice", m.Ref)
		}
		refs[m.Ref] = true
	}
	for _, ref := range b.Dependencies[0].On {
		on[ref] = true
		if !refs[ref] {
			t.Errorf("it depends on %s, which is no component", ref)
		}
	}
	self, err := buildOf(nil)
	if err != nil {
		t.Fatal(err)
	}
	wants := []string{"pkg:golang/std@" + strings.TrimPrefix(runtime.Version(), "go")}
	for _, m := range self.Deps {
		wants = append(wants, "pkg:golang/"+m.Path+"@"+strings.ReplaceAll(m.Version, "+", "%2B"))
	}
	for _, want := range wants {
		if !refs[want] || !on[want] {
			t.Errorf("%s is not among %d components", want, len(refs))
		}
	}
	if again, _, err := execute(t, "version", "-o", "cyclonedx"); err != nil || again != out {
		t.Errorf("another time it is another bill, %v", err)
	}
}

func TestAVersionOfNothingIsRefused(t *testing.T) {
	if _, _, err := execute(t, "version", "-o", "xml"); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), `-o "xml"`) {
		t.Errorf("got %v", err)
	}
	if _, _, err := execute(t, "version", "version.go"); err == nil || !strings.Contains(err.Error(), "version.go") {
		t.Errorf("got %v of a file that is no binary", err)
	}
}
