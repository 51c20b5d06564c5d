package side

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLedgerSeesWhatIsWrong(t *testing.T) {
	l := newLedger(3, 100)
	one := string(l.payload(nil, 1))
	if len(one) != 100 {
		t.Errorf("got a payload of %d bytes, want 100", len(one))
	}
	if n, err := l.tick(one); n != 1 || err != nil {
		t.Errorf("got %d, %v, want 1", n, err)
	}
	for name, payload := range map[string]string{
		"twice":     one,
		"cut short": one[:99],
		"altered":   strings.Repeat("?", 100),
		"no number": "notanumb" + one[8:],
		"too large": "00000003" + one[8:],
	} {
		if _, err := l.tick(payload); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	if l.check() == nil {
		t.Error("got no error while two are missing, want one")
	}
	for _, i := range []int{0, 2} {
		if _, err := l.tick(string(l.payload(nil, i))); err != nil {
			t.Error(err)
		}
	}
	if err := l.check(); err != nil {
		t.Error(err)
	}
	<-l.over
}

func TestPayloadIsAtLeastTheNumber(t *testing.T) {
	l := newLedger(20, 0)
	if got := string(l.payload(nil, 17)); got != "00000017" {
		t.Errorf("got %q, want the number alone", got)
	}
}

func TestSpreadStopsAtTheFirstThatFails(t *testing.T) {
	seen := newLedger(100, 0)
	err := spread(t.Context(), 100, 7, func(_ context.Context, i int) error {
		_, err := seen.tick(string(seen.payload(nil, i)))
		return err
	})
	if err != nil || seen.check() != nil {
		t.Errorf("got %v, %v, want each once", err, seen.check())
	}
	wrong := errors.New("wrong")
	calls := 0
	err = spread(t.Context(), 100, 1, func(context.Context, int) error { calls++; return wrong })
	if !errors.Is(err, wrong) || calls != 1 {
		t.Errorf("got %v after %d calls, want %v after one", err, calls, wrong)
	}
}

// TestSpansHaveEachLineOnce reads files in pieces of every size there can be.
func TestSpansHaveEachLineOnce(t *testing.T) {
	dir := t.TempDir()
	var all []byte
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 3 {
		var text []byte
		for range 10 {
			text = append(append(text, bytes.Repeat([]byte{'a' + byte(i)}, rng.IntN(5))...), '\n')
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("in-%d", i)), text, 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	for size := 1; size < 50; size++ {
		pieces, err := spans(dir, size)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, s := range pieces {
			piece, err := s.read(make([]byte, 1+size+20))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, piece...)
		}
		if !bytes.Equal(got, all) {
			t.Errorf("pieces of %d bytes: got %q, want %q", size, got, all)
		}
	}
}

func TestTablesAddUpAlike(t *testing.T) {
	a, b := newPointers(), newTable()
	rng := rand.New(rand.NewPCG(2, 2))
	for range 300_000 {
		key, n := fmt.Appendf(nil, "%x", rng.IntN(100_000)), rng.Int64N(10)
		a.add(key, n)
		b.add(key, n)
	}
	want := map[string]int64{}
	a.each(func(key []byte, sum int64) { want[string(key)] = sum })
	got := 0
	b.each(func(key []byte, sum int64) {
		got++
		if sum != want[string(key)] {
			t.Errorf("got %d of %q, want %d", sum, key, want[string(key)])
		}
	})
	if got != len(want) {
		t.Errorf("got %d keys, want %d", got, len(want))
	}
}

func TestProgramThatComplainsHasFailed(t *testing.T) {
	if err := run(t.Context(), t.TempDir(), []string{"GREETING=hello"}, "sh", "-ec", `test "$GREETING" = hello`); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), t.TempDir(), nil, "sh", "-ec", "cat nothing | cat"); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("got error %v, want what it said", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, t.TempDir(), nil, "sleep", "100"); err == nil {
		t.Error("got no error, want that nobody waits for it")
	}
}
