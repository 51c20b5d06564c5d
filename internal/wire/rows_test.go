package wire

import (
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

func named(kind job.Kind, numbers ...int) (tasks []job.TaskID) {
	for _, n := range numbers {
		tasks = append(tasks, job.TaskID{Kind: kind, N: n})
	}
	return tasks
}

// The bytes are in journals on disks.
func TestRowsComeBackAndKeepTheirBytes(t *testing.T) {
	for _, c := range []struct {
		tasks []job.TaskID
		rows  int
		bytes string
	}{
		{nil, 0, ""},
		{named(job.KindMap, 5), 1, "6d0501"},
		{named(job.KindMap, 5, 6, 7, 9, 8), 3, "6d0503" + "6d0901" + "6d0801"},
		{append(named(job.KindMap, 1, 2), named(job.KindReduce, 3)...), 2, "6d0102" + "720301"},
		{named(job.KindMap, 300, 301, math.MaxInt32-1), 2, "6dac0202" + "6dfeffffff0701"},
	} {
		b, rows := AppendRows(nil, c.tasks)
		if got := hex.EncodeToString(b); got != c.bytes || rows != c.rows {
			t.Errorf("%v: got %s in %d rows, want %s in %d", c.tasks, got, rows, c.bytes, c.rows)
		}
		if got, err := Rows(rows, b); err != nil || !slices.Equal(got, c.tasks) {
			t.Errorf("%v: got %v, %v", c.tasks, got, err)
		}
	}
}

func TestRowsThatNameTooMuchAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		n     int
		bytes string
	}{
		"cut off":            {1, "6d05"},
		"fewer than there":   {2, "6d0501"},
		"more than there":    {1, "6d0501" + "6d0801"},
		"too many":           {1, "6d0081808001"},
		"too many in all":    {2, "6d00808040" + "6d0001"},
		"beyond what can be": {1, "6dffffffff0701"},
		"a number too long":  {1, "6dffffffffff0f01"},
		"bytes without rows": {0, "00"},
	} {
		b, err := hex.DecodeString(c.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Rows(c.n, b); err == nil {
			t.Errorf("%s: got %d tasks", name, len(got))
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add(1, []byte("\x6d\x05\x03"))
	f.Add(2, []byte("\x6d\x05\x03\x72\x00\x01"))
	f.Fuzz(func(t *testing.T, n int, b []byte) {
		tasks, err := Rows(n, b)
		if err != nil {
			return
		}
		again, rows := AppendRows(nil, tasks)
		if got, err := Rows(rows, again); err != nil || !slices.Equal(got, tasks) {
			t.Fatalf("got %v, %v after %v", got, err, tasks)
		}
	})
}
