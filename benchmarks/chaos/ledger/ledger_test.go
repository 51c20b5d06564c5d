package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/musterhq/muster/mapreduce"
)

func TestReadReturnsWhatWasNoted(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	done := begin(t, l, "ns/j@1", "m1", 1)
	fails := begin(t, l, "ns/j@1", "m2", 3)
	begin(t, l, "ns/j@1", "m3", 1) // its process is gone before it is over
	if err := errors.Join(fails(errors.New("no \"luck\"\nat all")), done(nil), l.Close()); err != nil {
		t.Fatal(err)
	}
	all, err := Read(dir)
	if err != nil || len(all) != 3 {
		t.Fatalf("got %d executions and %v, want 3", len(all), err)
	}
	for i, want := range []Execution{
		{Task: "m1", Attempt: 1},
		{Task: "m2", Attempt: 3, Err: "no \"luck\"\nat all"},
		{Task: "m3", Attempt: 1},
	} {
		got := all[i]
		if got.Ended.IsZero() != (i == 2) || got.Began.IsZero() || got.Done() != (i == 0) {
			t.Errorf("%s: got %+v", want.Task, got)
		}
		want.Node, want.Run, want.Began, want.Ended = "a", "ns/j@1", got.Began, got.Ended
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestReadPassesOverALineThatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b 1 10 a r m1 1\ne 1 20\nb 2 30 a r m")
	all, err := Read(dir)
	if err != nil || len(all) != 1 || !all[0].Done() {
		t.Fatalf("got %+v and %v, want m1 done", all, err)
	}
}

func TestReadRefusesWhatNoLedgerHolds(t *testing.T) {
	for _, text := range []string{"\n", "x 1 2\n", "b 1 2 a r\n", "e 1 2\n", "b 1 x a r m1 1\n", "b 1 2 a r m1 x\n", "b 1 2 a r m1 1\ne 1 3 cut off\n"} {
		dir := t.TempDir()
		write(t, dir, text)
		if all, err := Read(dir); err == nil {
			t.Errorf("%q: got %+v, want an error", text, all)
		}
	}
}

func begin(t *testing.T, l *Ledger, run, task string, attempt int) func(error) error {
	t.Helper()
	end, err := l.Begin(&mapreduce.Task{Run: run, ID: task, Attempt: attempt})
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func write(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "a-1"+extension), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
