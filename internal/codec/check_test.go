package codec

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestCheckSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ hex, want string }{
		{"", "there are no bytes"},
		{"c1", "byte 0 is 0xc1"},
		{"92 01", "byte 0 begins an array of 2 elements, but only 1 bytes follow"},
		{"91 a2 61", "the value that begins at byte 1 claims more than the 1 bytes that follow"},
		{"81 01", "byte 0 begins a map of 1 elements, but only 1 bytes follow"},
		{"92 91 01", "byte 1 begins an array of 1 elements, but only 1 bytes follow"},
		{"01 02", "1 bytes follow the value"},
		{"dd ff ff ff ff", "byte 0 begins an array of 4294967295 elements, but only 0 bytes follow"},
		{"df ff ff ff ff", "of 4294967295 elements"},
		{"c6 ff ff ff ff", "claims more than"},
		{"db 00 00 00 05 61", "claims more than"},
		{"cb 00", "claims more than"},
		{"d4 01 00", "byte 0 begins an extension that is not a timestamp"},
		{"c7 05 00 df ff ff ff ff", "byte 0 begins an extension that is not a timestamp"},
		{"c7 0c ff df ff ff ff ff 00 00 00 00 00 00 00", "byte 0 begins an extension that is not a timestamp"},
		{"c9 ff ff ff ff ff", "claims more than"},
		{strings.Repeat("91", MaxDepth+1) + "01", "byte 32 begins an array that is nested more than 32 deep"},
		{strings.Repeat("91", MaxDepth) + "90", "byte 32 begins an array that is nested more than 32 deep"},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Check(%s) = %v, want %q", c.hex, err, c.want)
		}
	}
	for _, ok := range []string{"90", "80", "c0", "a0", "d6ff00000001", "d7ff0000000400000001", "c70cff00000001ffffffffffffffff", strings.Repeat("91", MaxDepth) + "01"} {
		b, _ := hex.DecodeString(ok)
		if err := Check(b); err != nil {
			t.Errorf("Check(%s) = %v", ok, err)
		}
	}
}

// Every prefix of a value ends too early, and any byte after it is too many.
func TestCheckTakesExactlyOneValue(t *testing.T) {
	b, err := Marshal(mixture{L: []inner{{A: 1}}, SS: map[string]string{"a": strings.Repeat("b", 300)}, T: time.Unix(1, 1), Any: []any{1.5, -70000, nil}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(b); err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if Check(b[:n]) == nil {
			t.Errorf("the first %d of %d bytes are a value", n, len(b))
		}
	}
	if Check(append(b, 0xc0)) == nil {
		t.Error("a value may be followed by another")
	}
	if n := testing.AllocsPerRun(100, func() { _ = Check(b) }); n != 0 {
		t.Errorf("Check allocates %v times", n)
	}
}

// targets are types of all sorts to decode into, new each time.
func targets() []any {
	type wide struct {
		_ [512]byte
		X int
	}
	return []any{
		new(any), new(mixture), new(list), new([]list), new(tuple), new(string), new([]byte), new([4]byte), new(int8), new(uint64),
		new(float32), new(bool), new(time.Time), new([]wide), new(map[int8]wide), new([][]wide), new(map[string]any), new(map[any]any),
		new([]any), new([][]string), new(map[string]string), new(Raw), new([]Raw), new([3]wide), new(**wide), new([]*wide), new(knot),
	}
}

func TestShortBytesCannotClaimMuchMemory(t *testing.T) {
	for _, s := range []string{
		"ddffffffff", "dfffffffff", "c6ffffffff", "dd0fffffff", "c70500dfffffffff", "81c70500dfffffffff",
		"d7ffdfffffffffffffff", "81a3616e79d7ffdfffffffffffffff", // a timestamp that the library would take for a map
		strings.Repeat("91", 40), strings.Repeat("81a0", 40), strings.Repeat("dc00ff", 31) + strings.Repeat("c0", 300),
		"dc4000" + strings.Repeat("c0", 0x4000), "de2000" + strings.Repeat("c0", 0x4000),
		"dc4000" + strings.Repeat("80", 0x4000), "dc4000" + strings.Repeat("90", 0x4000),
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range targets() {
			if got, most := allocated(func() { _ = Unmarshal(b, v) }), uint64(2*memory(len(b))); got > most {
				t.Errorf("%.20s… into %T took %d bytes, want at most %d", s, v, got, most)
			}
		}
	}
}

func TestMemoryBeyondReasonIsRefused(t *testing.T) {
	type wide struct{ X [64 << 10]byte }
	b := append([]byte{0xdc, 0x10, 0x00}, make([]byte, 0x1000)...)
	for i := range b[3:] {
		b[3+i] = 0xc0
	}
	err := Unmarshal(b, new([]wide))
	if want := "would take far more memory than their bytes explain"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzUnmarshal looks for bytes that panic, take memory out of proportion, or
// come back other than they went.
func FuzzUnmarshal(f *testing.F) {
	for _, v := range []any{
		nil, 5, "text",
		[]byte{1, 2},
		[]any{1, "a", 2.5, nil},
		map[string]any{"k": []int{1, 2}},
		time.Unix(5, 5),
		mixture{S: "s", L: []inner{{A: 1}}, N: map[int64]word{1: "x"}, Any: map[int]string{1: "a"}},
		list{1, &list{V: 2}},
		tuple{X: 1, Y: "x"},
	} {
		b, err := Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{"ddffffffff", "dfffffffff", "c6ffffffff", "9191919191", "c70500dfffffffff", "81a3616e79d7ff37ffffffffffffff", "8191c0c0", "81a1aa"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		sound := Check(b) == nil
		for _, v := range targets() {
			var err error
			if got := allocated(func() { err = Unmarshal(b, v) }); got > uint64(2*memory(len(b)))+1<<20 {
				t.Errorf("%d bytes into %T took %d", len(b), v, got)
			}
			if err != nil {
				continue
			}
			if !sound {
				t.Fatalf("%x was decoded to %T although Check refuses it", b, v)
			}
			again, err := Marshal(v)
			if err != nil {
				t.Fatalf("%x was decoded to %T %v, which cannot be encoded: %v", b, v, reflect.ValueOf(v).Elem(), err)
			}
			next := reflect.New(reflect.TypeOf(v).Elem())
			if err := Unmarshal(again, next.Interface()); err != nil {
				t.Fatalf("%x, from %x, does not come back as %T: %v", again, b, v, err)
			}
			if third, err := Marshal(next.Interface()); err != nil || !bytes.Equal(third, again) {
				t.Fatalf("%T from %x is %x and then %x, %v", v, b, again, third, err)
			}
		}
	})
}
