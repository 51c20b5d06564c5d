package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestASeekerFindsWhatAScanWould writes, replaces and removes records in many
// commits, and compares from any start.
func TestASeekerFindsWhatAScanWould(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	kv, err := Open(t.TempDir(), Options{Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	has := map[string]string{}
	key := func() []byte { return fmt.Appendf(nil, "%c%02d", "abc"[chance.IntN(3)], chance.IntN(60)) }
	for i := range 800 {
		b, err := kv.Batch()
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + chance.IntN(4) {
			k := key()
			if chance.IntN(2) == 0 || i%100 > 70 && k[0] == 'b' {
				delete(has, string(k))
				err = b.Delete(k)
			} else {
				has[string(k)] = fmt.Sprint(i)
				err = b.Put(k, []byte(fmt.Sprint(i)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		if i%8 > 0 {
			continue
		}
		v, err := kv.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		s := v.Seeker([]byte("b"))
		for range 50 {
			start, within := key(), []byte("b")
			if start[0] = 'b'; chance.IntN(3) == 0 {
				within = start[:2]
			}
			var want string
			for k := range has {
				if bytes.HasPrefix([]byte(k), within) && k >= string(start) && (want == "" || k < want) {
					want = k
				}
			}
			p, ok, err := s.Seek(start, within)
			if err != nil || ok != (want != "") || ok && (string(p.Key) != want || string(p.Value) != has[want]) {
				t.Fatalf("from %q within %q: got %q %q, %v, %v, want %q", start, within, p.Key, p.Value, ok, err, want)
			}
		}
		var all, scanned []string
		for start := []byte("b"); ; {
			p, ok, err := s.Seek(start, []byte("b"))
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			all, start = append(all, string(p.Key)), append(p.Key, 0)
		}
		for p, err := range v.Scan([]byte("b")) {
			if err != nil {
				t.Fatal(err)
			}
			scanned = append(scanned, string(p.Key))
		}
		if !slices.Equal(all, scanned) {
			t.Fatalf("got %q, a scan %q", all, scanned)
		}
		slices.Reverse(scanned)
		for at, start := range append([][]byte{nil}, keysOf(scanned)...) {
			var back []string
			for p, err := range v.ScanBack([]byte("b"), start) {
				if err != nil {
					t.Fatal(err)
				}
				back = append(back, string(p.Key))
			}
			if !slices.Equal(back, scanned[at:]) {
				t.Fatalf("back from %q: got %q, want %q", start, back, scanned[at:])
			}
		}
		s.Close()
		v.Close()
	}
}

func keysOf(keys []string) (out [][]byte) {
	for _, k := range keys {
		out = append(out, []byte(k))
	}
	return out
}
