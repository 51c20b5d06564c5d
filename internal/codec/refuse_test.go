package codec

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

type (
	holdsChan  struct{ C chan int }
	holdsDeep  struct{ L []struct{ F func() } }
	closed     struct{ x int }
	EmbedsSelf struct {
		*EmbedsSelf
		N int
	}
	pointers *pointers
	interned struct {
		S string `msgpack:",intern"`
	}
	quoted struct {
		S string `msgpack:"'a,b'"`
	}
	twice struct {
		A int `msgpack:"x"`
		B int `msgpack:"x"`
	}
	shadows struct {
		base
		ID string
	}
	pushy struct{ p *int }
	wrong struct{}
	knot  struct {
		Name string
		To   []any
	}
)

func (pushy) MarshalMsgpack() ([]byte, error) { panic("no") }
func (wrong) MarshalMsgpack() ([]byte, error) { return []byte{0xdd, 1, 2, 3, 4}, nil }

func TestWhatCannotBeEncodedIsNamed(t *testing.T) {
	ring := &list{V: 1}
	ring.Next = ring
	var self any
	self = &self
	loop := map[string]any{}
	loop["loop"] = loop
	k := &knot{Name: "k"}
	k.To = []any{k}
	long := &list{}
	for range 100 {
		long = &list{Next: long}
	}
	for _, c := range []struct {
		v    any
		want string
	}{
		{make(chan int), "codec: a chan int cannot be encoded: leave it out or give it a msgpack marshaler"},
		{holdsChan{}, "codec: codec.holdsChan holds a chan int in field C, which cannot be encoded: leave it out or give it a msgpack marshaler"},
		{&holdsDeep{}, "codec: *codec.holdsDeep holds a func() in field L[].F, which cannot be encoded"},
		{map[string]complex128{}, "holds a complex128, which cannot be encoded"},
		{[]any{1, holdsChan{}}, "holds a chan int in field [].C"},
		{knot{To: []any{func() {}}}, "codec: codec.knot holds a func() in field To[]"},
		{uintptr(1), "a uintptr cannot be encoded"},
		{closed{1}, "codec.closed has unexported fields only"},
		{errors.New("x"), "has unexported fields only"},
		{EmbedsSelf{}, "embeds itself"},
		{pointers(nil), "points at nothing but pointers"},
		{interned{}, "has the tag option intern"},
		{quoted{}, "has a msgpack tag with a quote"},
		{twice{}, "codec.twice holds a int in field B, which has the name \"x\" when encoded, as another field has"},
		{shadows{}, "in field ID, which has the name"},
		{map[*int]int{}, "has pointers as keys"},
		{ring, "is nested more than 32 deep or contains itself"},
		{self, "contains itself"},
		{loop, "contains itself"},
		{k, "contains itself"},
		{long, "is nested more than 32 deep"},
		{pushy{}, "encoding a codec.pushy panicked: no"},
		{wrong{}, "codec: encoding a codec.wrong gave what cannot be decoded"},
		{Raw{}, "gave what cannot be decoded"},
		{Raw{0xc0, 0xc0}, "1 bytes follow the value"},
	} {
		b, err := Marshal(c.v)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Marshal(%T) = %x, %v, want an error with %q", c.v, b, err, c.want)
		}
		if out, err := Append([]byte("kept"), c.v); err == nil || string(out) != "kept" {
			t.Errorf("Append(%T) = %q, %v, want what was there and an error", c.v, out, err)
		}
	}
}

func TestNestedUpToTheLimitIsFine(t *testing.T) {
	var v any = "x"
	for range MaxDepth {
		v = []any{v}
	}
	b, err := Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("got %v, %v, want %v", got, err, v)
	}
	if _, err := Marshal([]any{v}); err == nil {
		t.Error("one level more was encoded")
	}
	if err := Check(append([]byte{0x91}, b...)); err == nil {
		t.Error("one level more was taken")
	}
}

func TestNumbersThatDoNotFitAreErrors(t *testing.T) {
	type s struct {
		U8  uint8
		I8  []int8
		U   *uint
		F   float32
		I   int64
		M   map[int16]uint16
		Lvl level
	}
	field := func(name string, v any) []byte {
		b, err := Marshal(map[string]any{name: v})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{field("U8", 261), "261 in field U8 does not fit uint8"},
		{field("U8", -1), "-1 in field U8 does not fit uint8"},
		{field("I8", []int{1, 128}), "128 in field I8[] does not fit int8"},
		{field("I8", []int{-129}), "-129 in field I8[]"},
		{field("U", -5), "-5 in field U does not fit uint"},
		{field("F", 16777217), "16777217 in field F does not fit float32"},
		{field("F", 0.1), "0.1 in field F does not fit float32"},
		{field("I", uint64(math.MaxUint64)), "18446744073709551615 in field I does not fit int64"},
		{field("I", 1.0), "1 in field I does not fit int64"},
		{field("M", map[int]int{40000: 1}), "40000 in field M[key] does not fit int16"},
		{field("M", map[int]int{1: 70000}), "70000 in field M[] does not fit uint16"},
		{field("Lvl", 200), "200 in field Lvl does not fit codec.level"},
		{field("I", "x"), "codec: bytes cannot be decoded as codec.s: a string in field I does not fit int64"},
		{field("M", time.Time{}), "an extension in field M does not fit map[int16]uint16"},
		{field("U8", []int{1}), "an array in field U8 does not fit uint8"},
	} {
		var v s
		if err := Unmarshal(c.b, &v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Unmarshal(%x) = %+v, %v, want an error with %q", c.b, v, err, c.want)
		}
	}
	for _, v := range []any{new(uint8), new(int8), new(level), new(float32), new(uint64)} {
		b, _ := Marshal(-16777217)
		if err := Unmarshal(b, v); err == nil {
			t.Errorf("-16777217 was decoded to %T %v", v, reflect.ValueOf(v).Elem())
		}
	}
	for _, n := range []int64{1 << 53, 1 << 62, math.MinInt64, -(1 << 24)} {
		var f float64
		b, _ := Marshal(n)
		if err := Unmarshal(b, &f); err != nil || f != float64(n) {
			t.Errorf("%d as a float64 is %v, %v", n, f, err)
		}
	}
	for _, n := range []any{1<<53 + 1, math.MaxInt64, uint64(1 << 63)} {
		var f float64
		b, _ := Marshal(n)
		if err := Unmarshal(b, &f); err == nil {
			t.Errorf("%v was decoded to %f", n, f)
		}
	}
}

func TestUnmarshalRefusesWhatIsNoTarget(t *testing.T) {
	for _, v := range []any{nil, 1, "x", (*int)(nil), (*string)(nil), (*inner)(nil), inner{}, &holdsChan{}} {
		if err := Unmarshal([]byte{1}, v); err == nil {
			t.Errorf("decoded into %#v", v)
		}
	}
}
