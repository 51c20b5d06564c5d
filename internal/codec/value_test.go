package codec

import (
	"bytes"
	"math"
	"math/rand"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

// upper is a string with a mind of its own: it must not be taken for one.
type upper string

func (u upper) MarshalText() ([]byte, error)   { return []byte(strings.ToUpper(string(u))), nil }
func (u *upper) UnmarshalText(b []byte) error  { *u = upper(strings.ToLower(string(b))); return nil }
func (oneWay) MarshalText() ([]byte, error)    { return nil, nil }
func (otherWay) MarshalText() ([]byte, error)  { return nil, nil }
func (*otherWay) UnmarshalText(b []byte) error { return nil }

type (
	oneWay   struct{ N int }
	otherWay struct{ N int }
	record   struct {
		A int8
		M map[string]int
	}
)

func TestValueAndUnmarshalReadEachOther(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	same[string](t, seed)
	same[word](t, seed)
	same[[]byte](t, seed)
	same[blob](t, seed)
	same[bool](t, seed)
	same[int](t, seed)
	same[int8](t, seed)
	same[level](t, seed)
	same[int16](t, seed)
	same[int32](t, seed)
	same[int64](t, seed)
	same[time.Duration](t, seed)
	same[uint](t, seed)
	same[uint8](t, seed)
	same[uint16](t, seed)
	same[uint32](t, seed)
	same[uint64](t, seed)
	same[float32](t, seed)
	same[float64](t, seed)
	same[map[int]string](t, seed)
	same[[]word](t, seed)
	same[record](t, seed)
	same[*record](t, seed)
	same[map[[2]int16][]map[uint8]float32](t, seed)
	same[[3]byte](t, seed)
	same[struct {
		A []record
		B map[string]*record
		C []byte
		D [2][]string
	}](t, seed)
}

func same[V any](t *testing.T, seed int64) {
	t.Helper()
	c, err := ValueOf[V]()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewSource(seed))
	for range 30 {
		v := random[V](r)
		b, err := c.Append([]byte{1}, v)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Marshal(v)
		if err != nil || !bytes.Equal(plain, b[1:]) {
			t.Fatalf("%T %v: Append made %x, Marshal %x, %v", v, v, b[1:], plain, err)
		}
		var u V
		if err := Unmarshal(plain, &u); err != nil || !reflect.DeepEqual(u, v) {
			t.Fatalf("Unmarshal made %#v of %#v, %v", u, v, err)
		}
		d, err := c.Decode(plain)
		if err != nil || !reflect.DeepEqual(d, v) {
			t.Fatalf("Decode made %#v of %#v, %v", d, v, err)
		}
		for i := range plain {
			plain[i] ^= 0x55
		}
		if !reflect.DeepEqual(d, v) {
			t.Fatalf("a %T shares memory with the bytes it was decoded from", v)
		}
	}
	// Whatever the bytes are, both take them alike or not at all.
	for _, b := range foreign {
		var u V
		ue := Unmarshal(b, &u)
		d, de := c.Decode(b)
		if (ue == nil) != (de == nil) || ue == nil && !reflect.DeepEqual(u, d) {
			t.Fatalf("%x is %v, %v for Unmarshal and %v, %v for Decode", b, u, ue, d, de)
		}
	}
}

func random[V any](r *rand.Rand) V {
	v, ok := quick.Value(reflect.TypeFor[V](), r)
	if !ok {
		panic("no random value")
	}
	return v.Interface().(V)
}

var foreign = func() (all [][]byte) {
	for _, v := range []any{
		nil, true, "text", []byte("bytes"), 0, -1, 127, 128, -129, 300, 70000, 1 << 40, uint64(math.MaxUint64), 1.5,
		float32(2.5), math.Inf(1),
		[]any{},
		[]int{1},
		map[string]int{},
		map[string]int{"a": 300},
		time.Unix(1, 1),
	} {
		b, _ := Marshal(v)
		all = append(all, b, append(b, 0), b[:len(b)-1])
	}
	return all
}()

func TestValueKeepsToTheMethodsOfItsType(t *testing.T) {
	c, err := ValueOf[upper]()
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Append(nil, "abc")
	if err != nil || !bytes.HasSuffix(b, []byte("ABC")) {
		t.Fatalf("got %q, %v", b, err)
	}
	if v, err := c.Decode(b); err != nil || v != "abc" {
		t.Errorf("got %q, %v", v, err)
	}
	u, err := ValueOf[url.URL]() // has its methods on the pointer
	if err != nil {
		t.Fatal(err)
	}
	at := url.URL{Scheme: "https", Host: "example.org"}
	if b, err = u.Append(nil, at); err != nil {
		t.Fatal(err)
	}
	if v, err := u.Decode(b); err != nil || v != at {
		t.Errorf("got %v, %v", v, err)
	}
	if b, err = Marshal(struct{ U []url.URL }{[]url.URL{at}}); err != nil {
		t.Errorf("got %x, %v", b, err)
	}
}

func TestValueOfRefusesWhatWouldNotComeBack(t *testing.T) {
	noValue[chan int](t, "codec: a chan int cannot be encoded")
	noValue[struct{ F func() }](t, "holds a func() in field F")
	noValue[oneWay](t, "has a method to be encoded by, but none to be decoded by")
	noValue[[]map[string]oneWay](t, "codec.oneWay has a method to be encoded by")
	noValue[struct{ S interface{ String() string } }](t, "is an interface, and bytes do not say which type to make of it")
	if _, err := ValueOf[otherWay](); err != nil {
		t.Error(err)
	}
	if _, err := ValueOf[struct {
		A any
		E error
	}](); err != nil {
		t.Error(err)
	}
	if _, err := (Value[inner]{}).Append(nil, inner{}); err == nil {
		t.Error("a Value that was not made by ValueOf encodes")
	}
}

func noValue[V any](t *testing.T, want string) {
	t.Helper()
	if _, err := ValueOf[V](); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestPlainKeysAndValuesCostNoAllocation(t *testing.T) {
	free(t, "some text of some length, more than a word", 1)
	free(t, word("named, too, and long enough for the heap"), 1)
	free(t, []byte("some bytes"), 1)
	free(t, true, 0)
	free(t, 1<<40, 0)
	free(t, int8(-5), 0)
	free(t, level(5), 0)
	free(t, uint64(math.MaxUint64), 0)
	free(t, time.Minute, 0)
	free(t, 1.5, 0)
	free(t, float32(1.5), 0)
}

func free[T any](t *testing.T, v T, decode float64) {
	t.Helper()
	k, err := KeyOf[T]()
	if err != nil {
		t.Fatal(err)
	}
	c, err := ValueOf[T]()
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 256)
	kb, _ := k.Append(nil, v)
	cb, _ := c.Append(nil, v)
	for name, f := range map[string]func(){
		"Key.Append":   func() { buf, _ = k.Append(buf[:0], v) },
		"Value.Append": func() { buf, _ = c.Append(buf[:0], v) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s of %T allocates %v times", name, v, n)
		}
	}
	for name, f := range map[string]func(){
		"Key.Decode":   func() { _, _ = k.Decode(kb) },
		"Value.Decode": func() { _, _ = c.Decode(cb) },
	} {
		if n := testing.AllocsPerRun(100, f); n > decode {
			t.Errorf("%s of %T allocates %v times, want %v", name, v, n, decode)
		}
	}
}

func TestAKeyOfFieldsIsEncodedWithoutAllocation(t *testing.T) {
	k, err := KeyOf[city]()
	if err != nil {
		t.Fatal(err)
	}
	buf, v := make([]byte, 0, 256), city{Country: "x", Hash: []byte{1}}
	if n := testing.AllocsPerRun(100, func() { buf, _ = k.Append(buf[:0], v) }); n != 0 {
		t.Errorf("Key.Append of a struct allocates %v times", n)
	}
}
