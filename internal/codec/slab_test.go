package codec

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
)

// What is lent changes after Renew, strings never do.
func TestSlabKeepsStringsAndLendsBytes(t *testing.T) {
	text, err := ValueOf[string]()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ValueOf[[]byte]()
	if err != nil {
		t.Fatal(err)
	}
	var s Slab
	var kept []string
	for round := range 5 {
		s.Renew()
		var lent [][]byte
		for i := range 3000 { // several blocks
			want := strings.Repeat(fmt.Sprint(round, i, " "), i%300/7)
			b, _ := text.Append(nil, want)
			got, err := text.DecodeIn(&s, b)
			if err != nil || got != want {
				t.Fatalf("got %.40q, %v, want %.40q", got, err, want)
			}
			kept = append(kept, got)
			b, _ = raw.Append(nil, []byte(want))
			bytes, err := raw.DecodeIn(&s, b)
			if err != nil || string(bytes) != want || bytes == nil || cap(bytes) != len(bytes) {
				t.Fatalf("got %.40q of capacity %d, %v, want %.40q", bytes, cap(bytes), err, want)
			}
			lent = append(lent, bytes)
		}
		for i, got := range lent {
			if want := kept[len(kept)-3000+i]; string(got) != want {
				t.Fatalf("%d was lent and is now %.40q, want %.40q", i, got, want)
			}
		}
	}
	for i, got := range kept {
		if want := strings.Repeat(fmt.Sprint(i/3000, i%3000, " "), i%3000%300/7); got != want {
			t.Fatalf("string %d is now %.40q, want %.40q", i, got, want)
		}
	}
	if null, err := raw.DecodeIn(&s, []byte{0xc0}); err != nil || null != nil {
		t.Errorf("nil: got %v, %v", null, err)
	}
}

func TestSlabAllocatesOncePerBlock(t *testing.T) {
	c, err := KeyOf[string]()
	if err != nil {
		t.Fatal(err)
	}
	var s Slab
	key := bytes.Repeat([]byte("k"), 16)
	if got := testing.AllocsPerRun(100, func() {
		for range slabBytes / len(key) {
			_, _ = c.DecodeIn(&s, key)
		}
	}); got > 1 {
		t.Errorf("%v allocations for a block of keys, want one", got)
	}
}

type notch int8

func TestWordsAreTheValues(t *testing.T) {
	sameAsWord(t, 0, 1, -1, math.MaxInt, math.MinInt)
	sameAsWord[int8](t, 0, -1, math.MaxInt8, math.MinInt8)
	sameAsWord[notch](t, -7, 7)
	sameAsWord[uint16](t, 0, math.MaxUint16)
	sameAsWord[uint64](t, 0, math.MaxUint64)
	sameAsWord[float32](t, 0, -1.5, math.MaxFloat32)
	sameAsWord(t, 0, -1.5, math.Inf(1), math.SmallestNonzeroFloat64)
	sameAsWord(t, true, false)
	for name, is := range map[string]bool{"string": isWord[string](t), "[]byte": isWord[[]byte](t), "struct": isWord[struct{ A int }](t), "[1]int": isWord[[1]int](t)} {
		if is {
			t.Errorf("a %s is taken for a word", name)
		}
	}
}

func isWord[V any](t *testing.T) bool {
	c, err := ValueOf[V]()
	if err != nil {
		t.Fatal(err)
	}
	return c.IsWord()
}

func sameAsWord[V comparable](t *testing.T, values ...V) {
	t.Helper()
	c, err := ValueOf[V]()
	if err != nil || !c.IsWord() {
		t.Fatalf("%T: %v, want it to be a word", values[0], err)
	}
	for _, v := range values {
		if got := c.OfWord(c.Word(v)); got != v {
			t.Errorf("%T: got %v, want %v", v, got, v)
		}
	}
}
