package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest"
)

// ask asks a shop without a network.
func ask(t *testing.T, h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w
}

func TestAnOrderThatIsSentTwiceIsPackedOnce(t *testing.T) {
	cfg := config(t.TempDir(), nil)
	cfg.Logger = slog.New(slog.DiscardHandler)
	n, err := node.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop(context.Background())
	h := shop{n}.routes()
	var at [2]string
	for i := range at {
		w := ask(t, h, http.MethodPost, "/orders", `{"id":"o-1","items":["book","pen"]}`)
		if at[i] = w.Header().Get("Location"); w.Code != http.StatusAccepted || at[i] == "" {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	if at[0] != at[1] {
		t.Errorf("got runs at %s and %s of one order", at[0], at[1])
	}
	if _, err := n.Run(job.RunID(strings.TrimPrefix(at[0], "/orders?run="))).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w := ask(t, h, http.MethodGet, at[0], ""); w.Body.String() != "packed book, pen\n" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	if w := ask(t, h, http.MethodPost, "/orders", `{}`); w.Code != http.StatusBadRequest {
		t.Errorf("got %d for no order", w.Code)
	}
}

func TestTheReportIsDeclaredOnceWhoeverStarts(t *testing.T) {
	c := nodetest.Start(t, 3, func(_ int, cfg *node.Config) {
		cfg.Processors = config("", nil).Processors
	})
	for i := range 3 {
		if err := declare(t.Context(), c.Node(i)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := c.Node(0).Job(t.Context(), "", "report")
	if err != nil || d.Revision != 1 {
		t.Errorf("got revision %d, %v, want the first", d.Revision, err)
	}
}
