package mapreduce

import (
	"context"
	"strings"
	"testing"
)

func TestARegistryNamesEachProcessorThatCannotBeServed(t *testing.T) {
	ok := ProcessorFunc(func(context.Context, *Task) (any, error) { return nil, nil })
	good := Registry{"a": ok, "reports/nightly_v1.2-b": ok, strings.Repeat("x", 100): ok, "words": Of(counting())}
	if err := good.Validate(); err != nil {
		t.Errorf("got %v, want none", err)
	}
	bad := Registry{"": ok, "with space": ok, "naïve": ok, strings.Repeat("x", 101): ok, "none": nil, "chan": Of(badKey{})}
	err := bad.Validate()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"0 characters", "' '", "'ï'", "101 characters", `"none": mapreduce: the processor is nil`, `"chan": `, "key type"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want one with %q", err, want)
		}
	}
}

func TestRegisterRefusesWhatWouldBeAmbiguous(t *testing.T) {
	ok := ProcessorFunc(func(context.Context, *Task) (any, error) { return nil, nil })
	r := Registry{}
	if err := r.Register("a", ok); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"is taken":     r.Register("a", ok),
		"is nil":       r.Register("b", nil),
		"0 characters": r.Register("", ok),
		"'?'":          r.Register("who?", ok),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want one with %q", err, want)
		}
	}
}
