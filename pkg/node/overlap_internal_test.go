package node

import (
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// TestAFireWhoseOverlapKeyFailsIsMadeAndSaysSo prepares fires of jobs whose
// expression has a value, and has none.
func TestAFireWhoseOverlapKeyFailsIsMadeAndSaysSo(t *testing.T) {
	_, l, _ := holding(t, 1, nil)
	prepared := func(params string) job.Run {
		return l.clock.prepare(job.Run{ID: "default/hold@1", Spec: job.Spec{
			Namespace: "default", Name: "hold", Processor: "hold", Params: params,
			Schedule: trigger.Schedule{When: "every 5m", OverlapKey: "data.customer"},
		}}, false).Run
	}
	if run := prepared(`{"customer": 7}`); run.OverlapKey != "7" || run.Unplanned != "" {
		t.Errorf("got key %q, %q", run.OverlapKey, run.Unplanned)
	}
	run := prepared(`{}`)
	if want := `node: Schedule.OverlapKey: expression "data.customer": it has no value`; !strings.HasPrefix(run.Unplanned, want) {
		t.Errorf("got %q, want %q", run.Unplanned, want)
	}
	if run.OverlapKey != string(run.ID) {
		t.Errorf("got key %q: a run that fails at once overlaps with others", run.OverlapKey)
	}
}
