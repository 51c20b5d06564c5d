package codec

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

type (
	word  string
	level int8
	blob  []byte

	inner struct {
		A int8           `msgpack:"a"`
		M map[string]int `msgpack:"m,omitempty"`
	}
	base struct {
		ID   uint16
		Kind word
	}
	mixture struct {
		base
		S     string            `msgpack:"s"`
		B     []byte            `msgpack:"b"`
		F     float32           `msgpack:"f"`
		D     time.Duration     `msgpack:"d"`
		T     time.Time         `msgpack:"t"`
		P     *inner            `msgpack:"p"`
		L     []inner           `msgpack:"l"`
		A     [2]uint16         `msgpack:"x"`
		H     [4]byte           `msgpack:"h"`
		N     map[int64]word    `msgpack:"n"`
		SS    map[string]string `msgpack:"ss"`
		Any   any               `msgpack:"any"`
		Raw   Raw               `msgpack:"raw"`
		Addr  netip.Addr        `msgpack:"addr"`
		Skip  int               `msgpack:"-"`
		notme int
	}
	list struct {
		V    int
		Next *list
	}
	tuple struct {
		_msgpack struct{} `msgpack:",as_array"`
		X        int8
		Y        string
	}
)

func TestWhatIsMarshaledComesBackEqual(t *testing.T) {
	when := time.Date(2026, 3, 29, 3, 0, 0, 123, time.UTC)
	for _, v := range []any{
		true, false, "", "x", strings.Repeat("é", 40), strings.Repeat("x", 300), strings.Repeat("x", 70000),
		0, 1, -1, 127, 128, -32, -33, 255, 256, math.MaxInt, math.MinInt,
		int8(-128), int16(-129), int32(math.MinInt32), int64(math.MinInt64),
		uint(7), uint8(255), uint16(65535), uint32(math.MaxUint32), uint64(math.MaxUint64),
		float32(1.5), math.Pi, math.Inf(-1), math.MaxFloat64,
		[]byte{},
		[]byte{1, 2},
		blob{3},
		[3]byte{1, 2, 3},
		word("w"), level(-3),
		[]string{"a", ""},
		[]int{1, 2, 3},
		[][]byte{{1}, {}},
		[]any{int64(1), "a", nil, 2.5},
		map[string]string{"b": "1", "a": "2"},
		map[string]bool{"x": true},
		map[string]any{"k": []any{int64(300)}},
		map[int]string{3: "c", -1: "z"},
		map[word]level{"q": 1},
		map[[2]uint8]string{{1, 2}: "x"},
		map[bool]int{true: 1},
		when,
		time.Time{},
		time.Unix(-1, 5).UTC(), time.Minute,
		inner{A: 3},
		&inner{A: -3, M: map[string]int{"z": 1, "a": 2}},
		struct{}{},
		mixture{
			base: base{ID: 7, Kind: "k"}, S: "s", B: []byte("b"), F: 2.5, D: time.Second, T: when,
			P: &inner{A: 1}, L: []inner{{A: 2}, {A: 3, M: map[string]int{"x": 1}}}, A: [2]uint16{1, 65535},
			H: [4]byte{1, 2, 3, 4}, N: map[int64]word{5: "five", -5: "minus"}, SS: map[string]string{"a": "b"},
			Any: map[string]any{"n": int64(200), "t": when}, Raw: Raw{0xc3}, Addr: netip.MustParseAddr("10.0.0.1"),
		},
		list{1, &list{2, &list{V: 3}}},
		tuple{X: 1, Y: "y"},
		netip.MustParseAddr("::1"), big.NewInt(1e9),
	} {
		t.Run(fmt.Sprintf("%T", v), func(t *testing.T) {
			b, err := Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(b); err != nil {
				t.Fatalf("Check(%x) = %v", b, err)
			}
			got := reflect.New(reflect.TypeOf(v))
			if err := Unmarshal(b, got.Interface()); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Elem().Interface(), v) {
				t.Errorf("got %#v, want %#v", got.Elem().Interface(), v)
			}
			again, err := Append([]byte("before"), v)
			if err != nil || !bytes.Equal(again, append([]byte("before"), b...)) {
				t.Errorf("Append gave %x, %v, want %x after what was there", again, err, b)
			}
		})
	}
}

// The bytes are on disks and between versions: they do not change.
func TestBytesStayWhatTheyAre(t *testing.T) {
	type person struct {
		Name  string         `msgpack:"n"`
		Age   int            `msgpack:"a"`
		Marks map[int]string `msgpack:"m,omitempty"`
		Born  time.Time      `msgpack:"b"`
		Note  *string        `msgpack:"x"`
	}
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, "c0"},
		{true, "c3"},
		{0, "00"},
		{127, "7f"},
		{128, "cc80"},
		{-32, "e0"},
		{-33, "d0df"},
		{65536, "ce00010000"},
		{int16(5), "05"},
		{uint64(1 << 40), "cf0000010000000000"},
		{int64(-1 << 40), "d3ffffff0000000000"},
		{1.5, "cb3ff8000000000000"},
		{float32(1.5), "ca3fc00000"},
		{"hi", "a26869"},
		{[]byte("hi"), "c4026869"},
		{time.Second, "ce3b9aca00"},
		{time.Unix(1, 0), "d6ff00000001"},
		{time.Unix(1, 1), "d7ff0000000400000001"},
		{time.Unix(-1, 1), "c70cff00000001ffffffffffffffff"},
		{map[string]int{"b": 1, "aa": 2, "a": 3}, "83a16103a2616102a16201"},
		{map[int]bool{2: true, -1: false, 1: true}, "8301c302c3ffc2"},
		{map[string]any{"z": map[int]int{9: 9, 8: 8}, "a": nil}, "82a161c0a17a8208080909"},
		{
			person{Name: "Ada", Age: 36, Marks: map[int]string{2: "b", 1: "a"}, Born: time.Unix(0, 0)},
			"85a16ea3416461a16124a16d8201a16102a162a162d6ff00000000a178c0",
		},
		{tuple{X: -1, Y: "y"}, "92ffa179"},
	} {
		b, err := Marshal(c.v)
		if got := fmt.Sprintf("%x", b); err != nil || got != c.want {
			t.Errorf("Marshal(%#v) = %s, %v, want %s", c.v, got, err, c.want)
		}
	}
}

func TestEqualMapsHaveEqualBytes(t *testing.T) {
	type deep struct {
		M map[word]map[[2]int]any
		L []map[float64]string
	}
	make := func(backwards bool) deep {
		d := deep{M: map[word]map[[2]int]any{}, L: []map[float64]string{{}}}
		for i := range 50 {
			if backwards {
				i = 49 - i
			}
			d.M[word(fmt.Sprint(i))] = map[[2]int]any{{i, 1}: i, {i, 2}: map[int16]any{int16(i): "x", -2: 1.5}}
			d.L[0][float64(i)/3] = "y"
		}
		return d
	}
	first, err := Marshal(make(false))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		next, err := Marshal(make(true))
		if err != nil || !bytes.Equal(first, next) {
			t.Fatalf("got %x, %v, want %x", next, err, first)
		}
	}
}

func TestInterfaceValuesComeBackInFewTypes(t *testing.T) {
	in := map[string]any{
		"small": 1, "mid": 200, "big": uint32(1 << 31), "huge": uint64(math.MaxUint64), "neg": int8(-5), "f": float32(0.5),
		"bytes": []byte{1}, "when": time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("X", 3600)),
		"map": map[int]any{1: "one", 200: map[bool]string{true: "yes"}}, "list": []int{1, 300}, "struct": inner{A: 1},
	}
	want := map[string]any{
		"small": int64(1), "mid": int64(200), "big": int64(1 << 31), "huge": uint64(math.MaxUint64), "neg": int64(-5), "f": 0.5,
		"bytes": []byte{1}, "when": time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC),
		"map":  map[any]any{int64(1): "one", int64(200): map[any]any{true: "yes"}},
		"list": []any{int64(1), int64(300)}, "struct": map[string]any{"a": int64(1)},
	}
	b, err := Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	got := any(5) // is replaced
	if err := Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, any(want)) {
		t.Errorf("got %#v, %v, want %#v", got, err, want)
	}
	var m map[string]any
	if err := Unmarshal(b, &m); err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("got %#v, %v, want %#v", m, err, want)
	}
	// A list as a key of a map would panic.
	if err := Unmarshal([]byte{0x81, 0x91, 1, 1}, &got); err == nil {
		t.Errorf("got %v", got)
	}
}

func TestTimesComeBackInUTCWhereverTheyAre(t *testing.T) {
	type s struct {
		T time.Time
		P *time.Time
		L [][]time.Time
		M map[time.Time]time.Time
		E map[string]any
	}
	at := time.Date(2026, 7, 1, 12, 0, 0, 7, time.UTC)
	local := at.In(time.FixedZone("far", 7*3600))
	b, err := Marshal(s{local, &local, [][]time.Time{{local}}, map[time.Time]time.Time{local: local}, map[string]any{"x": local}})
	if err != nil {
		t.Fatal(err)
	}
	var got s
	want := s{at, &at, [][]time.Time{{at}}, map[time.Time]time.Time{at: at}, map[string]any{"x": at}}
	if err := Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	same, err := Marshal(want)
	if err != nil || !bytes.Equal(same, b) {
		t.Errorf("the zone is in the bytes: %x, %v, want %x", same, err, b)
	}
}

func TestFieldsMayComeAndGo(t *testing.T) {
	type v1 struct{ A, B int }
	type v2 struct {
		B int
		C map[string][]string
	}
	b, err := Marshal(v2{2, map[string][]string{"x": {"y", "z"}}})
	if err != nil {
		t.Fatal(err)
	}
	got := v1{A: 7}
	if err := Unmarshal(b, &got); err != nil || got != (v1{7, 2}) {
		t.Errorf("got %v, %v, want {7 2}", got, err)
	}
}

// What is embedded is found under the names the library gives it, or numbers
// in it would not be looked at.
func TestEmbeddedFieldsAreGuardedToo(t *testing.T) {
	type Named struct{ N int8 }
	type alias struct {
		A int8 `msgpack:"a,alias:old"`
	}
	type all struct {
		base
		*Named
		Other inner `msgpack:"o"`
		alias
	}
	v := all{base: base{ID: 1, Kind: "k"}, Named: &Named{2}, alias: alias{4}}
	b, err := Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got all
	if err := Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("got %+v, %v, want %+v", got, err, v)
	}
	for _, name := range []string{"N", "ID", "a", "o"} {
		var value any = 70000
		if name == "o" {
			value = map[string]int{"a": 300}
		}
		b, _ := Marshal(map[string]any{name: value})
		if err := Unmarshal(b, new(all)); err == nil || !strings.Contains(err.Error(), "does not fit") {
			t.Errorf("%s = %v: %v, want an error", name, value, err)
		}
	}
	b, _ = Marshal(map[string]any{"old": 300})
	if err := Unmarshal(b, new(alias)); err == nil {
		t.Error("a number was cut under the field's old name")
	}
	b, _ = Marshal(map[string]any{"base": map[string]int{"ID": 70000}})
	if err := Unmarshal(b, new(all)); err == nil {
		t.Error("a number was cut in the embedded struct under its own name")
	}
}

// The same bytes as the library's, which other programs can read and write.
func TestPlainValuesHaveTheLibrarysBytes(t *testing.T) {
	for _, v := range []any{
		"", "short", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("x", 65536),
		[]byte(nil),
		[]byte{},
		make([]byte, 255), make([]byte, 256), make([]byte, 65536), true, false, 1.5, float32(2.5),
		-1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1, math.MinInt64,
		0, 127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64, uint64(math.MaxUint64),
	} {
		var want bytes.Buffer
		e := msgpack.NewEncoder(&want)
		e.UseCompactInts(true)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		if got, err := Marshal(v); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%T: got %.20x, %v, want %.20x", v, got, err, want.Bytes())
		}
	}
}

func TestManyMayEncodeATypeForTheFirstTime(t *testing.T) {
	type node struct {
		N    map[int]string
		Next *node
		Any  any
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			v := node{N: map[int]string{2: "b", 1: "a"}, Next: &node{Any: []any{"x"}}}
			b, err := Marshal(v)
			if err != nil {
				t.Error(err)
				return
			}
			var got node
			if err := Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, v) {
				t.Errorf("got %+v, %v, want %+v", got, err, v)
			}
		})
	}
	all.Wait()
}
