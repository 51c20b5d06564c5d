package mapreduce

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

type point struct {
	X int `json:"x"`
	Y string
}

// textLine is the line that a pair of key and value becomes.
func textLine[K, V any](t *testing.T, format string, key K, value V) (string, error) {
	t.Helper()
	k := keyedOf(t, Of(job[int, K, int, V]{
		func(_ context.Context, _ int, emit func(K, int)) error { emit(key, 1); return nil },
		func(context.Context, K, iter.Seq[int]) (V, error) { return value, nil },
	}))
	var line []byte
	err := k.MapShard(t.Context(), valuesTask(t, 1), func(kb, vb []byte) error {
		groups := func(yield func([]byte, iter.Seq[[]byte]) bool) {
			yield(kb, func(yield func([]byte) bool) { yield(vb) })
		}
		return k.ReduceGroups(t.Context(), &Task{}, groups, func(kb, vb []byte) (err error) {
			line, err = k.AppendText([]byte("> "), format, kb, vb)
			return err
		})
	})
	return string(line), err
}

func TestPairsBecomeLines(t *testing.T) {
	check := func(want, got string, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("got %q and %v, want %q", got, err, want)
		}
	}
	got, err := textLine(t, TSV, "be", 2)
	check("> be\t2\n", got, err)
	got, err = textLine(t, TSV, "a\tb\\\r\n", []byte("\xff\n"))
	check("> a\\tb\\\\\\r\\n\t\xff\\n\n", got, err)
	got, err = textLine(t, TSV, uint64(math.MaxUint64), -0.5)
	check("> 18446744073709551615\t-0.5\n", got, err)
	got, err = textLine(t, TSV, int64(-1), point{1, "a\tb"})
	check("> -1\t{1 a\\tb}\n", got, err)
	got, err = textLine(t, TSV, true, []string{"x", "y"})
	check("> true\t[x y]\n", got, err)
	got, err = textLine(t, JSON, "<a>\n", point{1, "é"})
	check(`> {"key":"<a>\n","value":{"x":1,"Y":"é"}}`+"\n", got, err)
	got, err = textLine(t, JSON, time.Unix(0, 0).UTC(), []int{1, 2})
	check(`> {"key":"1970-01-01T00:00:00Z","value":[1,2]}`+"\n", got, err)
}

func TestPairsThatHaveNoTextAreNamed(t *testing.T) {
	if _, err := textLine(t, JSON, "half", math.NaN()); !IsPermanent(err) || !strings.Contains(err.Error(), `"half"`) {
		t.Errorf("got %v, want a permanent error that names the key", err)
	}
	if _, err := textLine(t, "xml", "a", 1); !IsPermanent(err) || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("got %v, want a permanent error that names the format", err)
	}
}

// TestPlainTextIsFoundAsByteByByte compares with the obvious way.
func TestPlainTextIsFoundAsByteByByte(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	escapes := strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)
	for range 20_000 {
		s := make([]byte, chance.IntN(40))
		for i := range s {
			if s[i] = byte(chance.Uint32()); chance.IntN(4) > 0 {
				s[i] = "ab \x00\x80\xff]["[chance.IntN(8)]
			}
		}
		if got, want := string(appendEscaped(nil, s)), escapes.Replace(string(s)); got != want {
			t.Fatalf("%q: got %q, want %q", s, got, want)
		}
	}
}
