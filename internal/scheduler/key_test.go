package scheduler

import (
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

func TestKeyIsTheValueOfAnExpressionOnTheInput(t *testing.T) {
	var keys Keys
	run := &job.Run{Spec: job.Spec{Params: `{"customer": {"id": 7}, "region": "eu"}`}, Extra: map[string]string{"region": "us"}}
	for _, c := range []struct{ expression, want, failure string }{
		{expression: "data.customer.id", want: "7"},
		{expression: "data.region", want: "us"}, // what the caller says comes first
		{expression: "lower('A') + data.region", want: "aus"},
		{expression: "data.missing ?? 'none'", want: "none"},
		{expression: "data.missing", failure: "it has no value"},
		{expression: "data.customer.id.deeper", failure: "data.customer.id.deeper"},
		{expression: "data.", failure: "unexpected end"},
	} {
		for range 2 { // the second time it is compiled already
			got, err := keys.Of(c.expression, run)
			if c.failure != "" {
				if err == nil || !strings.Contains(err.Error(), c.failure) {
					t.Errorf("%s: got %q, %v, want it to say %q", c.expression, got, err, c.failure)
				}
				continue
			}
			if err != nil || got != c.want {
				t.Errorf("%s: got %q, %v, want %q", c.expression, got, err, c.want)
			}
		}
	}
	event := &job.Run{Spec: run.Spec, Extra: map[string]string{"event.data": `{"region": "jp"}`}}
	if got, err := keys.Of("data.region + string(data.customer.id)", event); err != nil || got != "jp7" {
		t.Errorf("got %q, %v of a run that an event made", got, err)
	}
	for params, want := range map[string]string{"plain text": "plain text", "[1]": "[1]", "null": "null"} {
		if got, err := keys.Of("data.params", &job.Run{Spec: job.Spec{Params: params}}); err != nil || got != want {
			t.Errorf("Params %q: got %q, %v", params, got, err)
		}
	}
}
