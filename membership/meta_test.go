package membership

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestMetadataSurvivesTheTrip(t *testing.T) {
	for _, want := range []Member{
		{},
		{Name: "n", RPC: "10.0.0.1:7947", Roles: []string{"server", "worker"}, Tags: []string{"gpu", "", "zone=é"}, Slots: 64, Version: "v1.2.3"},
		{Slots: math.MaxInt32, Tags: make([]string, 400)},
		{Name: strings.Repeat("x", 503)},
	} {
		b, err := encodeMeta(want, "host:1")
		if want.Name != "" && len(want.Name) > 400 {
			if b, err = encodeMeta(want, ""); err != nil {
				t.Errorf("%d bytes that fit: %v", len(want.Name), err)
				continue
			}
		} else if err != nil {
			t.Fatal(err)
		}
		var got Member
		if _, err := decodeMeta(b, &got); err != nil {
			t.Fatal(err)
		}
		if !got.same(want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		got = Member{}
		if len(b) < maxMeta-10 {
			if _, err := decodeMeta(append(b, "of a newer release"[:5]...), &got); err != nil || !got.same(want) {
				t.Errorf("with a field of a newer release: %v, got %+v", err, got)
			}
		}
	}
}

func TestMetadataThatLiesIsRefused(t *testing.T) {
	for _, b := range []string{
		"", "\x02", "\x00", "\x01", "\x01\x05abc", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"\x01\x00\x00\x00\x00\x00\xff\x7f", "\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\x7f",
		"\x01\x01\xff\x00\x00\x00\x00\x00", strings.Repeat("\x01", maxMeta+1),
	} {
		var m Member
		if _, err := decodeMeta([]byte(b), &m); err == nil {
			t.Errorf("%q was taken for %+v", b, m)
		}
	}
}

func TestALifeHasAName(t *testing.T) {
	for _, m := range []Member{life("a", 0), life("a.b", 7), life(strings.Repeat("x", maxID), math.MaxUint64)} {
		id, n, err := parseLife(lifeName(m))
		if err != nil || id != m.ID || n != m.Incarnation {
			t.Errorf("got %q %d %v, want %q %d", id, n, err, m.ID, m.Incarnation)
		}
	}
	for _, s := range []string{"", ".", "a", "a.", ".1", "a.-1", "a.01", "a.A", "a b.1", "a/b.1", "a.3w5e11264sgsg", strings.Repeat("x", maxID+1) + ".1"} {
		if id, n, err := parseLife(s); err == nil {
			t.Errorf("%q was taken for %q %d", s, id, n)
		}
	}
}

func FuzzDecodeMeta(f *testing.F) {
	good, _ := encodeMeta(Member{Name: "n", RPC: "r", Roles: []string{"worker"}, Tags: []string{"a", "b"}, Slots: 3}, "h:1")
	f.Add(good)
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Member
		addr, err := decodeMeta(b, &m)
		if err != nil {
			return
		}
		again, err := encodeMeta(m, addr)
		if err != nil {
			t.Fatalf("%+v was read and cannot be written: %v", m, err)
		}
		var n Member
		addr2, err := decodeMeta(again, &n)
		if err != nil || addr2 != addr || !n.same(m) {
			t.Fatalf("read %+v, wrote it, read %+v: %v", m, n, err)
		}
		if !bytes.HasPrefix(b, again) && len(again) > len(b) {
			t.Fatalf("%d bytes said what takes %d", len(b), len(again))
		}
	})
}

func FuzzParseLife(f *testing.F) {
	f.Add("abc.1z")
	f.Fuzz(func(t *testing.T, s string) {
		id, n, err := parseLife(s)
		if err == nil && lifeName(life(id, n)) != s {
			t.Fatalf("%q is also %q", s, lifeName(life(id, n)))
		}
	})
}
