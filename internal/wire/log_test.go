package wire

import (
	"encoding/hex"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

func logLines() []job.LogLine {
	at := time.Date(2026, 3, 29, 3, 0, 0, 1, time.UTC)
	task := job.TaskID{Kind: job.KindMap, N: 12}
	return []job.LogLine{
		{Run: "n/a@1", Task: task, Epoch: 2, Attempt: 3, Node: "a", Level: slog.LevelDebug, Time: at, Seq: 1, Text: "x", Attrs: []job.LogAttr{{Key: "k", Value: "v"}}},
		{Run: "n/a@1", Node: "b", Level: slog.LevelWarn, Time: at.Add(time.Hour), Seq: 9, Text: "2 lines were dropped", Dropped: 2},
	}
}

func logBatch(lines []job.LogLine) []byte {
	b := LogBatch{Run: "n/a@1", N: len(lines), First: 1, Last: 1 << 60}
	for i := range lines {
		b.Lines = AppendLogLine(b.Lines, &lines[i])
	}
	return AppendLogBatch(nil, &b)
}

func readLogs(b []byte) ([]job.LogLine, error) {
	batch, err := DecodeLogBatch(b)
	if err != nil {
		return nil, err
	}
	var all []job.LogLine
	for l, err := range LogLines(batch.Run, batch.Lines) {
		if err != nil {
			return nil, err
		}
		all = append(all, *l)
	}
	return all, nil
}

func TestLogLinesComeBackAndKeepTheirBytes(t *testing.T) {
	b := logBatch(logLines())
	got, err := readLogs(b)
	if err != nil || !reflect.DeepEqual(got, logLines()) {
		t.Errorf("got %+v, %v", got, err)
	}
	const want = "01056e2f61403102028080808080808080206d0c0203078280e79fbca898a13101000161017801016b0176" +
		"00000000088280acab82fa99a131090201621432206c696e657320776572652064726f7070656400"
	if s := hex.EncodeToString(b); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	for n := range b {
		if lines, err := readLogs(b[:n]); err == nil && len(lines) == 2 {
			t.Errorf("the first %d of %d bytes are taken for all", n, len(b))
		}
	}
}

func FuzzLogBatch(f *testing.F) {
	f.Add(logBatch(logLines()))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got []job.LogLine
		var err error
		modest(t, len(b), func() { got, err = readLogs(b) })
		if err != nil {
			return
		}
		for i := range got {
			if c, err := job.LogPlace(got[i].Cursor()); err == nil && c.Compare(&got[i]) != 0 {
				t.Fatalf("the cursor of %+v leads to %+v", got[i], c)
			}
		}
		if again, err := readLogs(logBatch(got)); len(got) > 0 && (err != nil || !reflect.DeepEqual(again, got) && got[0].Run == "n/a@1") {
			t.Fatalf("got %+v, %v after %+v", again, err, got)
		}
	})
}
