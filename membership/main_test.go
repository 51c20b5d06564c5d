package membership

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test; nothing depends on its length.
const patience = 60 * time.Second

// brisk returns a configuration that notices the dead soon and is still
// patient with a busy machine.
func brisk(id string, seeds ...string) Config {
	return Config{
		Self:           Member{ID: id, Name: "node " + id, RPC: "127.0.0.1:1", Roles: []string{"worker"}, Slots: 4, Version: "test"},
		Seeds:          seeds,
		Logger:         slog.New(slog.DiscardHandler),
		ProbeInterval:  200 * time.Millisecond,
		ProbeTimeout:   100 * time.Millisecond,
		GossipInterval: 20 * time.Millisecond,
		RejoinInterval: 200 * time.Millisecond,
	}
}

// start starts a node that is closed when the test ends.
func start(t *testing.T, cfg Config) *List {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := Start(ctx, cfg)
	if err != nil {
		t.Fatalf("start %s: %v", cfg.Self.ID, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// await waits until ok says yes to the members of l.
func await(t *testing.T, l *List, what string, ok func([]Member) bool) {
	t.Helper()
	events, stop := l.Watch()
	defer stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		if ok(l.Members()) {
			return
		}
		select {
		case <-events:
		case <-late.C:
			t.Fatalf("%s: still waiting for: %s; members: %v", l.Self().ID, what, l.Members())
		}
	}
}

// awaitIDs waits until the members of l are those of ids, which are sorted.
func awaitIDs(t *testing.T, l *List, ids ...string) {
	t.Helper()
	want := strings.Join(ids, " ")
	await(t, l, want, func(ms []Member) bool { return idsOf(ms) == want })
}

func idsOf(ms []Member) string {
	var ids []string
	for _, m := range ms {
		ids = append(ids, m.ID)
	}
	return strings.Join(ids, " ")
}

// next returns the next event of id.
func nextOf(t *testing.T, events <-chan Event, id string) Event {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatal("events closed")
			}
			if e.Member.ID == id {
				return e
			}
		case <-late.C:
			t.Fatalf("no event of %s", id)
		}
	}
}

// A book keeps log records for tests to look for.
type book struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newLogger(b *book) *slog.Logger { return slog.New(b) }

func newBook() *book { return &book{more: make(chan struct{}, 1)} }

func (b *book) Enabled(context.Context, slog.Level) bool { return true }
func (b *book) WithAttrs([]slog.Attr) slog.Handler       { return b }
func (b *book) WithGroup(string) slog.Handler            { return b }
func (b *book) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	b.mu.Lock()
	b.lines = append(b.lines, line)
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
	return nil
}

// await waits for a line with all of parts.
func (b *book) await(t *testing.T, parts ...string) string {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		b.mu.Lock()
		lines := b.lines
		b.mu.Unlock()
		for _, line := range lines {
			if containsAll(line, parts) {
				return line
			}
		}
		select {
		case <-b.more:
		case <-late.C:
			t.Fatalf("no log line with %q in:\n%s", parts, strings.Join(lines, "\n"))
		}
	}
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// wantError checks that err says all of parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", parts)
	}
	if !containsAll(err.Error(), parts) {
		t.Fatalf("got error %q, want it to say %q", err, parts)
	}
}

// startFails starts a node that cannot, and returns why.
func startFails(t *testing.T, ctx context.Context, cfg Config) error {
	t.Helper()
	l, err := Start(ctx, cfg)
	if err == nil {
		_ = l.Close()
		return errors.New("started")
	}
	return err
}
