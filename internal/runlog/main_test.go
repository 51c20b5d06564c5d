package runlog

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet is a log for tests that expect warnings.
var quiet = slog.New(slog.DiscardHandler)

var epoch = time.Date(2026, 3, 29, 3, 0, 0, 0, time.UTC)

// line is a line of an attempt at task m0 of which the number and the time in
// seconds are n.
func line(n int) job.LogLine {
	return job.LogLine{
		Task: job.TaskID{Kind: job.KindMap}, Epoch: 1, Attempt: 1, Node: "a", Level: slog.LevelInfo,
		Time: epoch.Add(time.Duration(n) * time.Second), Seq: uint64(n), Text: fmt.Sprint(n),
	}
}

// batch is lines of a run on their way.
func batch(run job.RunID, lines ...job.LogLine) []byte {
	b := wire.LogBatch{Run: run, N: len(lines), First: lines[0].Time.UnixNano(), Last: lines[0].Time.UnixNano()}
	for i := range lines {
		at := lines[i].Time.UnixNano()
		b.First, b.Last = min(b.First, at), max(b.Last, at)
		b.Lines = wire.AppendLogLine(b.Lines, &lines[i])
	}
	return wire.AppendLogBatch(nil, &b)
}

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Logger, cfg.Reserve = quiet, -1
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func add(t *testing.T, s *Store, batches ...[]byte) {
	t.Helper()
	if err := s.Append(batches); err != nil {
		t.Fatal(err)
	}
}

// read returns the texts of a page.
func read(t *testing.T, s *Store, run job.RunID, q job.LogQuery) (texts []string, lines []job.LogLine, more bool) {
	t.Helper()
	lines, more, err := s.Page(t.Context(), run, &q)
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		texts = append(texts, lines[i].Text)
	}
	return texts, lines, more
}
