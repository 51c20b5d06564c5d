package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
)

func TestARunIsPartOfItsCallersTrace(t *testing.T) {
	s := serve(t, gateway.Config{})
	const jobs, trace = "/namespaces/default/jobs/traced", "4bf92f3577b34da6a3ce929d0e0e4736"
	s.do("PUT", jobs, `{"processor":"echo"}`).is(201)
	for _, c := range []struct {
		parent string
		part   bool
	}{{"00-" + trace + "-00f067aa0ba902b7-01", true}, {"00-" + trace + "-zz-01", false}} {
		a := s.do("POST", jobs+"/runs", "", "Traceparent: "+c.parent)
		var made struct{ ID job.RunID }
		if err := json.Unmarshal(a.body, &made); err != nil || made.ID == "" {
			t.Fatalf("got %d %s, %v", a.status, a.body, err)
		}
		run, err := s.node.Run(made.ID).Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(run.Trace["traceparent"], trace); got != c.part {
			t.Errorf("%s: got %v, want the run part of it: %v", c.parent, run.Trace, c.part)
		}
	}
}
