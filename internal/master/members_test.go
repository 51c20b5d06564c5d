package master

import (
	"testing"
	"time"

	"github.com/musterhq/muster/sharding"
)

func TestAMemberThatGetsNothingHasAReason(t *testing.T) {
	now := time.Second
	var refused []sharding.Refusal
	for _, k := range []*member{
		{window: 2, out: 2}, {}, {silence: 2 * time.Second, window: 9}, {silence: now, window: 1, out: 1}, {alone: true, window: 9}, {emptied: true, window: 9},
	} {
		if k.credit(now) > 0 {
			t.Errorf("%+v gets more tasks", k)
		}
		refused = append(refused, sharding.Refusal{Reason: k.busy(now)})
	}
	got, want := sharding.Explain(refused), "no worker: 3 have 0 free slots, 2 are kept for tasks that may have cost others their node, 1 has refused tasks, or not answered, a moment ago"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
