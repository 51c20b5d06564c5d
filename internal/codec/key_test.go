package codec

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

type city struct {
	Country string
	Founded int32
	Name    word
	Hash    []byte
	_       int
	Area    float64
	Seen    time.Time
	At      [2]struct {
		Lat float32
		Old bool
	}
}

func TestKeysHaveTheBytesTheyAlwaysHad(t *testing.T) {
	golden(t, "raw\x00bytes", "72617700"+"6279746573")
	golden(t, word("w"), "77")
	golden(t, []byte{0, 255}, "00ff")
	golden(t, true, "01")
	golden(t, int8(-1), "7f")
	golden(t, int16(1), "8001")
	golden(t, -2, "7ffffffffffffffe")
	golden(t, uint32(7), "00000007")
	golden(t, time.Second, "800000003b9aca00")
	golden(t, 1.0, "bff0000000000000")
	golden(t, -1.0, "400fffffffffffff")
	golden(t, math.Copysign(0, -1), "8000000000000000")
	golden(t, math.NaN(), "0000000000000000")
	golden(t, float32(1), "bf800000")
	golden(t, time.Unix(0, 1), "8000000e7791f70000000001")
	golden(t, [2]string{"a\x00b", ""}, "6100ff620000"+"0000")
	golden(t, struct {
		S string
		N uint8
	}{"x", 255}, "780000ff")
	golden(t, [2]byte{1, 2}, "0102")
	golden(t, struct{}{}, "")
}

func golden[K any](t *testing.T, k K, want string) {
	t.Helper()
	if got := hex.EncodeToString(bytesOf(t, k)); got != want {
		t.Errorf("%T %v has the bytes %s, want %s", k, k, got, want)
	}
}

func bytesOf[K any](t *testing.T, k K) []byte {
	t.Helper()
	c, err := KeyOf[K]()
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Append(nil, k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Random types, random keys: order and equality of the bytes are those of the
// keys, and every key comes back.
func TestOrderOfBytesIsOrderOfKeys(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	types := []reflect.Type{
		reflect.TypeFor[city](), reflect.TypeFor[[3]string](), reflect.TypeFor[struct {
			A string
			B uint64
		}](), reflect.TypeFor[float64](), reflect.TypeFor[float32](), reflect.TypeFor[time.Time](), reflect.TypeFor[level](),
	}
	for range 300 {
		types = append(types, randomKeyType(r, 3))
	}
	for _, typ := range types {
		p, f := partOf(typ)
		if f != nil {
			t.Fatalf("%s: %+v", typ, f)
		}
		for range 60 {
			a, b := reflect.New(typ), reflect.New(typ)
			fillKey(r, a.Elem())
			fillKey(r, b.Elem())
			x := encodeKey(p, a)
			y := encodeKey(p, b)
			if got, want := bytes.Compare(x, y), compareKeys(a.Elem(), b.Elem()); got != want {
				t.Fatalf("%s: the bytes of %+v and %+v, %x and %x, compare as %d, want %d", typ, a.Elem(), b.Elem(), x, y, got, want)
			}
			back := reflect.New(typ)
			rest, ok := p.decode(x, back.UnsafePointer())
			if !ok || len(rest) > 0 || compareKeys(back.Elem(), a.Elem()) != 0 {
				t.Fatalf("%s: %+v came back as %+v from %x, %v", typ, a.Elem(), back.Elem(), x, ok)
			}
		}
	}
}

func encodeKey(p *part, v reflect.Value) []byte { return p.append(nil, v.UnsafePointer()) }

func randomKeyType(r *rand.Rand, depth int) reflect.Type {
	basic := []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](),
		reflect.TypeFor[int64](), reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](),
		reflect.TypeFor[uint64](), reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[time.Time](),
		reflect.TypeFor[word](), reflect.TypeFor[time.Duration](), reflect.TypeFor[string](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](),
	}
	switch n := r.IntN(10); {
	case depth == 0 || n < 4:
		return basic[r.IntN(len(basic))]
	case n < 6:
		return reflect.ArrayOf(r.IntN(4), randomKeyType(r, depth-1))
	}
	fields := make([]reflect.StructField, r.IntN(5))
	for i := range fields {
		fields[i] = reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: randomKeyType(r, depth-1)}
	}
	return reflect.StructOf(fields)
}

// fillKey makes keys that are often alike, and often at the edge of something.
func fillKey(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, math.MinInt64, math.MaxInt64, int64(r.Uint64())}[r.IntN(6)] >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint([]uint64{0, 1 << 63, math.MaxUint64, math.MaxUint64 - 255, r.Uint64()}[r.IntN(5)] >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		edges := []float64{0, math.Copysign(0, -1), 1, -1, math.NaN(), -math.NaN(), math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat32, -math.MaxFloat32, r.NormFloat64()}
		v.SetFloat(edges[r.IntN(len(edges))])
	case reflect.String:
		v.SetString(randomText(r))
	case reflect.Slice:
		v.SetBytes([]byte(randomText(r)))
	case reflect.Array:
		for i := range v.Len() {
			fillKey(r, v.Index(i))
		}
	case reflect.Struct:
		if t, ok := v.Addr().Interface().(*time.Time); ok {
			*t = []time.Time{
				{},
				time.Unix(0, 0), time.Unix(-1, r.Int64N(3)), time.Unix(r.Int64N(3), 5).In(time.FixedZone("x", 3600)),
				time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 999), time.Unix(int64(r.Uint64()), r.Int64N(1e9)),
			}[r.IntN(7)]
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillKey(r, v.Field(i))
			}
		}
	}
}

func randomText(r *rand.Rand) string {
	var s strings.Builder
	for range r.IntN(4) {
		s.WriteByte([]byte{0, 0, 1, 'a', 0xfe, 0xff}[r.IntN(6)])
	}
	return s.String()
}

func compareKeys(a, b reflect.Value) int {
	switch a.Kind() {
	case reflect.Bool:
		x, y := a.Bool(), b.Bool()
		switch {
		case x == y:
			return 0
		case y:
			return -1
		}
		return 1
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return cmp.Compare(a.Int(), b.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return cmp.Compare(a.Uint(), b.Uint())
	case reflect.Float32, reflect.Float64:
		return cmp.Compare(a.Float(), b.Float())
	case reflect.String:
		return cmp.Compare(a.String(), b.String())
	case reflect.Slice:
		return bytes.Compare(a.Bytes(), b.Bytes())
	case reflect.Array:
		for i := range a.Len() {
			if c := compareKeys(a.Index(i), b.Index(i)); c != 0 {
				return c
			}
		}
		return 0
	}
	if x, ok := a.Interface().(time.Time); ok {
		return x.Compare(b.Interface().(time.Time))
	}
	for i := range a.NumField() {
		if a.Type().Field(i).IsExported() {
			if c := compareKeys(a.Field(i), b.Field(i)); c != 0 {
				return c
			}
		}
	}
	return 0
}

func TestKeysComeBackThroughTheirType(t *testing.T) {
	back(t, "a\x00b")
	back(t, word(""))
	back(t, []byte{})
	back(t, blob{1})
	back(t, level(-128))
	back(t, -0.5)
	back(t, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))
	back(t, time.Time{})
	back(t, city{Country: "D\x00E", Founded: -5, Name: "X", Hash: []byte{0}, Area: 1.5, Seen: time.Unix(9, 9).UTC()})
}

func back[K any](t *testing.T, k K) {
	t.Helper()
	c, err := KeyOf[K]()
	if err != nil {
		t.Fatal(err)
	}
	b := bytesOf(t, k)
	got, err := c.Decode(b)
	if err != nil || !reflect.DeepEqual(got, k) {
		t.Errorf("got %#v, %v, want %#v", got, err, k)
	}
	for i := range b {
		b[i] ^= 0x55
	}
	if !reflect.DeepEqual(got, k) {
		t.Errorf("a %T shares memory with the bytes it was decoded from", k)
	}
}

func TestWhatCannotBeAKeyIsNamed(t *testing.T) {
	refused[map[string]int](t, "codec: map[string]int cannot be a key, because it is of kind map: a key is a string, []byte, bool, number or time.Time, or a struct or array of these")
	refused[*int](t, "it is of kind ptr")
	refused[[]string](t, "it is of kind slice")
	refused[any](t, "it is of kind interface")
	refused[error](t, "it is of kind interface")
	refused[func()](t, "it is of kind func")
	refused[complex64](t, "it is of kind complex64")
	refused[struct{ A [2]struct{ M []int } }](t, "because []int in field A[].M is of kind slice")
	refused[struct {
		A int
		b int
	}](t, "because int in field b is not exported")
}

func refused[K any](t *testing.T, want string) {
	t.Helper()
	c, err := KeyOf[K]()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("KeyOf: %v, want %q", err, want)
	}
	if _, err := c.Append(nil, *new(K)); err == nil {
		t.Error("a refused key was encoded")
	}
	if _, err := c.Decode(nil); err == nil {
		t.Error("a refused key was decoded")
	}
}

func TestBytesThatAreNoKeyAreErrors(t *testing.T) {
	malformed[bool](t, "", "02", "0000")
	malformed[int](t, "", "00", "800000000000000000")
	malformed[uint16](t, "01", "010203")
	malformed[float64](t, "00", "0000000000000001", "7fffffffffffffff", "ffffffffffffffff")
	malformed[float32](t, "00000001", "7fffffff")
	malformed[time.Time](t, "8000000000000000", "80000000000000003b9aca00")
	malformed[[1]string](t, "", "61", "6100", "6101", "610001", "61000000", "00ff", "6100ff")
	malformed[struct {
		A string
		B uint8
	}](t, "0000", "000001ff", "00")
	malformed[struct{}](t, "00")
}

func malformed[K any](t *testing.T, encodings ...string) {
	t.Helper()
	c, err := KeyOf[K]()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range encodings {
		b, _ := hex.DecodeString(e)
		if k, err := c.Decode(b); err == nil {
			t.Errorf("%s was decoded to %T %v", e, k, k)
		}
	}
}

// FuzzKey looks for bytes that panic, or that are not the only ones of a key.
func FuzzKey(f *testing.F) {
	cityKey, err := KeyOf[city]()
	if err != nil {
		f.Fatal(err)
	}
	pairKey, err := KeyOf[[2]string]()
	if err != nil {
		f.Fatal(err)
	}
	b, _ := cityKey.Append(nil, city{Country: "a\x00", Name: "b", Area: -1})
	f.Add(b)
	f.Add([]byte("a\x00\xffb\x00\x00\x00\x00"))
	f.Add([]byte("a\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := cityKey.Decode(b); err == nil {
			if again, _ := cityKey.Append(nil, k); !bytes.Equal(again, b) {
				t.Errorf("%x is the key %+v, whose bytes are %x", b, k, again)
			}
		}
		if k, err := pairKey.Decode(b); err == nil {
			if again, _ := pairKey.Append(nil, k); !bytes.Equal(again, b) {
				t.Errorf("%x is the key %q, whose bytes are %x", b, k, again)
			}
		}
	})
}
