package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/node"
)

// start returns suppliers, a node that asks them and gives up after the given
// time, and the stock that it adds to.
func start(t *testing.T, n int, patience time.Duration) ([]*supplier, *node.Node, *stock) {
	t.Helper()
	const seed = 7
	suppliers, stock := market(seed, n), newStock()
	client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	nodes, err := pool(t.Context(), &pull{client, stock}, "a")
	t.Cleanup(func() {
		if err := stop(context.WithoutCancel(t.Context()), nodes); err != nil {
			t.Error(err)
		}
		client.CloseIdleConnections()
		closeAll(suppliers)
	})
	if err != nil {
		t.Fatal(err)
	}
	return suppliers, nodes[0], stock
}

func TestTheSummaryAccountsForEverySupplier(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out, 3); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"supplier 19  has closed       failed: inventory: page 0: 410 Gone\n",
		"19 suppliers ok, 1 failed: ",
		"checked against what the suppliers hold: equal",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%swant %q in it", &out, want)
		}
	}
	if got := strings.Count(out.String(), "  ok: "); got != 19 {
		t.Errorf("got %d suppliers that are ok, want 19", got)
	}
}

func TestASecondAttemptIsNoSecondEffect(t *testing.T) {
	suppliers, n, stock := start(t, 12, time.Second)
	out, ended, err := takeStock(t.Context(), n, suppliers)
	if err != nil {
		t.Fatal(err)
	}
	units, repeats := stock.Found()
	if err := check(suppliers, units); err != nil {
		t.Error(err)
	}
	if repeats == 0 {
		t.Error("no addition was made twice: the test tests nothing")
	}
	attempts := 1 // at the supplier that has closed, which is not asked again
	for r, err := range mapreduce.Results(t.Context(), out) {
		if err != nil {
			t.Fatal(err)
		}
		s := suppliers[r.Task]
		if (r.Err != "") != (s.trouble == gone) {
			t.Errorf("supplier %d, which %s: got error %q", r.Task, s.trouble, r.Err)
		}
		if r.Err != "" {
			continue
		}
		var one taken
		if err := r.Decode(&one); err != nil {
			t.Fatal(err)
		}
		if one.Items != len(s.items) || one.Attempts == 1 && s.trouble != none {
			t.Errorf("supplier %d, which %s: got %+v, want all of %d items and more than one attempt", r.Task, s.trouble, one, len(s.items))
		}
		attempts += one.Attempts
	}
	if got := ended.Progress.Attempts; got != attempts {
		t.Errorf("the run counted %d attempts, its tasks %d", got, attempts)
	}
}

func TestABusySupplierIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	suppliers, n, _ := start(t, 6, time.Minute)
	for _, s := range suppliers {
		s.trouble = busy
	}
	if _, _, err := takeStock(t.Context(), n, suppliers); err != nil {
		t.Fatal(err)
	}
	for i, s := range suppliers {
		s.mu.Lock()
		if s.times > 0 || s.early > 0 {
			t.Errorf("supplier %d has to be busy %d more times, and was asked %d times too early", i, s.times, s.early)
		}
		s.mu.Unlock()
	}
}

func TestMoreDeadSuppliersThanToleratedEndTheRun(t *testing.T) {
	suppliers, n, _ := start(t, 6, time.Second)
	suppliers[0].trouble = gone
	_, _, err := takeStock(t.Context(), n, suppliers)
	if err == nil || !strings.Contains(err.Error(), "410 Gone") {
		t.Errorf("got %v, want an error with the reason", err)
	}
}
