package codec

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

type (
	text   string
	grade  int8
	tally  map[string]int
	window struct {
		From time.Time  `msgpack:"f,omitempty"`
		To   *time.Time `msgpack:"t,omitempty"`
	}
	nothing struct {
		A int    `msgpack:"a,omitempty"`
		B string `msgpack:"b,omitempty"`
	}
	anything struct {
		Bool  bool              `msgpack:"b,omitempty"`
		Int   int               `msgpack:"i,omitempty"`
		Grade grade             `msgpack:"g"`
		Uint  uint16            `msgpack:"u,omitempty"`
		Float float64           `msgpack:"fl,omitempty"`
		Short float32           `msgpack:"fs"`
		Text  text              `msgpack:"t,omitempty"`
		Bytes []byte            `msgpack:"by,omitempty"`
		Raw   []byte            `msgpack:"rw"`
		Array [4]byte           `msgpack:"ar"`
		When  time.Time         `msgpack:"w,omitempty"`
		At    time.Time         `msgpack:"at"`
		For   time.Duration     `msgpack:"fo,omitempty"`
		Names []string          `msgpack:"n,omitempty"`
		Lists [][]byte          `msgpack:"ls"`
		Pair  [2]int            `msgpack:"pa,omitempty"`
		Extra map[string]string `msgpack:"x,omitempty"`
		Count map[string]int    `msgpack:"c"`
		Tally tally             `msgpack:"ta,omitempty"`
		Times map[int]time.Time `msgpack:"tm,omitempty"`
		Win   window            `msgpack:"wi,omitempty"`
		Wins  []window          `msgpack:"ws,omitempty"`
		None  nothing           `msgpack:"no,omitempty"`
		Ptr   *nothing          `msgpack:"p,omitempty"`
		Next  *anything         `msgpack:"nx,omitempty"`
		Any   any               `msgpack:"a"`
		Own   netip.Addr        `msgpack:"o"`
		Owns  []netip.Addr      `msgpack:"os,omitempty"`
		Left  int               `msgpack:"-"`
		Plain string
	}
)

// TestWhatIsWrittenDirectlyIsWhatTheLibraryWrites compares both ways, with
// values made by chance.
func TestWhatIsWrittenDirectlyIsWhatTheLibraryWrites(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		var v anything
		fill(r, reflect.ValueOf(&v).Elem(), 0)
		v.Left = 0
		got, err := Marshal(&v)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want := byTheLibrary(t, &v)
		if !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %+v\ngot  %x\nwant %x", seed, v, got, want)
		}
		var read, lent anything
		if err := Unmarshal(got, &read); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		lent.Left = 1 // so that it is no zero value, and the library decodes it
		if err := Unmarshal(got, &lent); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		lent.Left = 0
		if !reflect.DeepEqual(read, lent) {
			t.Fatalf("seed %d: got %+v, want %+v", seed, read, lent)
		}
	}
}

// TestMapsAreReadAsTheLibraryReadsThem has maps with keys and values that are nil,
// and with a key twice, read both ways.
func TestMapsAreReadAsTheLibraryReadsThem(t *testing.T) {
	for _, in := range []string{
		"\x81\xa1c\x80", // {c: {}}
		"\x81\xa1c\xc0", // {c: nil}
		"\x81\xa1c\x83\xc0\x01\xa1a\xc0\xa1b\xff",   // {c: {nil: 1, a: nil, b: -1}}
		"\x81\xa1c\x82\xa1a\x01\xa1a\x02",           // {c: {a: 1, a: 2}}
		"\x81\xa1x\x83\xc0\xa1z\xa1a\xc0\xa1a\xa1y", // {x: {nil: z, a: nil, a: y}}
	} {
		var read, lent anything
		lent.Left = 1 // so that it is no zero value, and the library decodes it
		err1, err2 := Unmarshal([]byte(in), &read), Unmarshal([]byte(in), &lent)
		if lent.Left = 0; err1 != nil || err2 != nil {
			t.Errorf("%q: %v, %v", in, err1, err2)
			continue
		}
		if !reflect.DeepEqual(read, lent) {
			t.Errorf("%q: got %+v, want %+v", in, read, lent)
		}
	}
}

// byTheLibrary is what Marshal would return if nothing were written directly.
func byTheLibrary(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	lib := msgpack.NewEncoder(&out)
	lib.SetSortMapKeys(true)
	lib.UseCompactInts(true)
	if err := lib.Encode(v); err != nil {
		t.Fatal(err)
	}
	s, err := shapeOf(reflect.TypeOf(v))
	if err != nil {
		t.Fatal(err)
	}
	s.sort(out.Bytes())
	return out.Bytes()
}

// fill makes v a value by chance, zero half of the time.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	if r.IntN(2) == 0 {
		return
	}
	few := func() int { return []int{0, 1, 3, 20}[r.IntN(4)] >> depth }
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(r.Int64N(1<<35)-1<<34, []int64{0, r.Int64N(1e9)}[r.IntN(2)])
		return
	case *netip.Addr:
		*x = netip.AddrFrom4([4]byte{1, 2, 3, byte(r.IntN(256))})
		return
	case *any:
		*x = []any{1, "x", []any{1.5, nil}, map[string]any{"b": 1, "a": time.Unix(5, 0)}}[r.IntN(4)]
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int64:
		v.SetInt(r.Int64() >> r.IntN(64))
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(r.Uint64() >> r.IntN(64))
	case reflect.Float32, reflect.Float64:
		v.SetFloat([]float64{0, -1.5, 1e30, float64(r.IntN(10))}[r.IntN(4)])
	case reflect.String:
		v.SetString(string(bytes.Repeat([]byte("x"), r.IntN(5)*r.IntN(90))))
	case reflect.Slice:
		n := few()
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n = r.IntN(2) * r.IntN(400)
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i), depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range few() {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(r, key, depth+1)
			fill(r, elem, depth+1)
			v.SetMapIndex(key, elem)
		}
	case reflect.Pointer:
		if depth < 3 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i), depth)
		}
	}
}

// leastAllocs returns how many allocations f makes when it makes the fewest: what
// is kept in pools is dropped now and then, and often by the race detector.
func leastAllocs(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 50 {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}

// TestStructsAreWrittenWithoutAllocations, and are read with one for each part
// that has memory of its own.
func TestStructsAreWrittenWithoutAllocations(t *testing.T) {
	v := &struct {
		Name  text      `msgpack:"n"`
		Count int       `msgpack:"c,omitempty"`
		Blob  []byte    `msgpack:"b"`
		At    time.Time `msgpack:"a"`
		Win   window    `msgpack:"w,omitempty"`
		Names []string  `msgpack:"l,omitempty"`
	}{"name", 7, []byte("blob"), time.Unix(5, 6), window{From: time.Unix(7, 8)}, []string{"a", "b"}}
	b, err := Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, len(b))
	if n := leastAllocs(func() { _, err = Append(dst, v) }); n != 0 || err != nil {
		t.Errorf("Append: %v allocations, %v", n, err)
	}
	p := reflect.New(reflect.TypeOf(*v))
	// The name, the blob, the list of names, and two of those.
	if n := leastAllocs(func() { p.Elem().SetZero(); err = Unmarshal(b, p.Interface()) }); n > 5 || err != nil {
		t.Errorf("Unmarshal: %v allocations, %v", n, err)
	}
}
