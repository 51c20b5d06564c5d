package state

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestWhatRaftLogsBecomesAttributes(t *testing.T) {
	var out strings.Builder
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	l := newRaftLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noTime})))
	l.With("node", "a").Info("entering state", "term", 3, "address", hclog.Fmt("%s", "b"), "alone")
	l.Error("failed")
	l.Trace("nobody reads this")
	want := `level=DEBUG msg=raft node=a says="entering state" term=3 address=[b] alone=<nil>
level=WARN msg=raft says=failed
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}
