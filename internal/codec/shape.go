package codec

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// form is what a Go type is to the codec.
type form uint8

const (
	formOpaque form = iota + 1 // brings methods of its own
	formBool
	formInt
	formUint
	formFloat
	formString
	formBytes
	formTime
	formList // slice or array
	formMap
	formStruct
	formPointer
	formAny // an interface
)

// shape is what is known of a Go type before a value is seen. The shapes of a
// recursive type refer to each other in a circle.
type shape struct {
	typ   reflect.Type
	form  form
	elem  *shape // of a list, map or pointer
	key   *shape // of a map
	field []field
	names map[string]*shape // fields by each name they are decoded by
	holds pairing           // of a map
	depth int               // of arrays, maps and structs in each other, unless it is open

	// direct says that a struct is written and read here, and zeroer that values
	// of the type say themselves whether they are empty.
	direct, zeroer bool
	// open says that the type alone does not bound how deep a value is.
	open bool
	// mixed says that there can be maps that the library leaves unsorted.
	mixed bool
	// stale says that there can be times and interface values, which are put
	// right after decoding.
	stale bool
	// oneWay says why a value that was encoded could not be decoded.
	oneWay string
}

// field is a field of a struct, embedded structs flattened.
type field struct {
	name      string // that it is encoded under
	index     []int
	omitEmpty bool
	shape     *shape

	offset uintptr // in a struct that is direct
	head   []byte  // the name, encoded
}

// pairing is what a map holds, of those that are written and read here.
type pairing uint8

const (
	textByText pairing = iota + 1 // map[string]string, and what is made of it
	intByText                     // map[string]int
)

// fault is what is wrong with a part of a value. The path to it grows from the
// inside out.
type fault struct {
	path string
	what string // such as "chan int"
	why  string
}

func (f *fault) within(step string) *fault {
	if f.path != "" && f.path[0] != '[' {
		step += "."
	}
	f.path = step + f.path
	return f
}

func (f *fault) where() string {
	if f.path == "" || f.path == "[]" {
		return ""
	}
	return " in field " + f.path
}

// encoding is the fault as an error of encoding a value of type t.
func (f *fault) encoding(t reflect.Type) error {
	if f.path == "" && f.what == t.String() {
		return fmt.Errorf("codec: a %s %s", f.what, f.why)
	}
	return fmt.Errorf("codec: %s holds a %s%s, which %s", t, f.what, f.where(), f.why)
}

// decoding is the fault as an error of decoding a value of type t.
func (f *fault) decoding(t reflect.Type) error {
	return fmt.Errorf("codec: bytes cannot be decoded as %s: %s%s %s", t, f.what, f.where(), f.why)
}

var shapes sync.Map // of reflect.Type to *shape or *fault

// shapeOf returns the shape of t, or why values of type t cannot be encoded.
func shapeOf(t reflect.Type) (*shape, error) {
	s, f := lookup(t)
	if f != nil {
		return nil, f.encoding(t)
	}
	return s, nil
}

func lookup(t reflect.Type) (*shape, *fault) {
	known, ok := shapes.Load(t)
	if !ok {
		d := draft{shapes: map[reflect.Type]*shape{}}
		if s, f := d.draw(t); f != nil {
			known = f
		} else {
			d.spread()
			known = s
		}
		known, _ = shapes.LoadOrStore(t, known)
	}
	if f, bad := known.(*fault); bad {
		f := *f // The caller may add to its path.
		return nil, &f
	}
	return known.(*shape), nil
}

// draft is the shapes of a type and of all it is made of, being drawn.
type draft struct {
	shapes map[reflect.Type]*shape
	all    []*shape
	begun  []reflect.Type // that the one being drawn is inside of
}

func (d *draft) draw(t reflect.Type) (*shape, *fault) {
	if s := d.shapes[t]; s != nil {
		if i := slices.Index(d.begun, t); i >= 0 {
			s.open = true
			if !slices.ContainsFunc(d.begun[i:], func(t reflect.Type) bool { return t.Kind() != reflect.Pointer }) {
				return nil, &fault{what: t.String(), why: "points at nothing but pointers: give it a type that ends"}
			}
		}
		return s, nil
	}
	s := &shape{typ: t}
	d.shapes[t] = s
	d.all = append(d.all, s)
	d.begun = append(d.begun, t)
	f := d.fill(s)
	d.begun = d.begun[:len(d.begun)-1]
	for _, part := range s.parts() {
		s.depth = max(s.depth, part.depth)
	}
	switch s.form {
	case formList, formMap, formStruct:
		s.depth++
	}
	return s, f
}

// fill finds out what the type of s is. What it asks, and in which order, is
// what the library asks when it chooses how to encode the type.
func (d *draft) fill(s *shape) (f *fault) {
	t := s.typ
	s.zeroer = t.Implements(reflect.TypeFor[zeroer]())
	if t == reflect.TypeFor[time.Time]() {
		s.form, s.stale = formTime, true
		return nil
	}
	if m := methodsOf(t); m.any() && t.Kind() != reflect.Pointer {
		s.own(m)
		return nil
	}
	if t == reflect.TypeFor[error]() {
		s.form = formOpaque // It is encoded as its text.
		return nil
	}
	switch t.Kind() {
	case reflect.Bool:
		s.form = formBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.form = formInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.form = formUint
	case reflect.Float32, reflect.Float64:
		s.form = formFloat
	case reflect.String:
		s.form = formString
	case reflect.Interface:
		s.form, s.open, s.mixed, s.stale = formAny, true, true, true
		if t.NumMethod() > 0 {
			s.oneWay = noType(t)
		}
	case reflect.Pointer:
		s.form = formPointer
		s.elem, f = d.draw(t.Elem())
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			s.form = formBytes
			return nil
		}
		s.form = formList
		if s.elem, f = d.draw(t.Elem()); f != nil {
			f.within("[]")
		}
	case reflect.Map:
		return d.fillMap(s)
	case reflect.Struct:
		return d.fillStruct(s)
	default:
		return &fault{what: t.String(), why: "cannot be encoded: leave it out or give it a msgpack marshaler"}
	}
	return f
}

func (d *draft) fillMap(s *shape) (f *fault) {
	t := s.typ
	s.form = formMap
	if t.Key().Kind() == reflect.Pointer {
		return &fault{what: t.String(), why: "has pointers as keys, which mean nothing elsewhere: key it by what they point at"}
	}
	if s.key, f = d.draw(t.Key()); f != nil {
		return f.within("[key]")
	}
	if s.elem, f = d.draw(t.Elem()); f != nil {
		return f.within("[]")
	}
	if t.Key() == reflect.TypeFor[string]() {
		switch t.Elem() {
		case reflect.TypeFor[string]():
			s.holds = textByText
		case reflect.TypeFor[int]():
			s.holds = intByText
		}
	}
	// The library sorts map[string]string, map[string]bool and
	// map[string]any, and no others.
	sorted := t.Key() == reflect.TypeFor[string]() &&
		(t.Elem() == reflect.TypeFor[string]() || t.Elem() == reflect.TypeFor[bool]())
	s.mixed = !sorted
	return nil
}

// spread lets each shape have the properties of what it is made of.
func (d *draft) spread() {
	for again := true; again; {
		again = false
		for _, s := range d.all {
			before := *s
			for _, part := range s.parts() {
				s.open = s.open || part.open
				s.mixed = s.mixed || part.mixed
				s.stale = s.stale || part.stale
				if s.oneWay == "" {
					s.oneWay = part.oneWay
				}
			}
			again = again || s.open != before.open || s.mixed != before.mixed || s.stale != before.stale || s.oneWay != before.oneWay
		}
	}
}

func (s *shape) parts() []*shape {
	var parts []*shape
	if s.elem != nil {
		parts = append(parts, s.elem)
	}
	if s.key != nil {
		parts = append(parts, s.key)
	}
	for _, f := range s.field {
		parts = append(parts, f.shape)
	}
	return parts
}

var (
	encodes = []reflect.Type{
		reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
	}
	decodes = []reflect.Type{
		reflect.TypeFor[msgpack.CustomDecoder](), reflect.TypeFor[msgpack.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryUnmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}
)

// methods is which methods to be encoded and decoded by a type has on itself,
// and which its pointer has, which has those of the type, too.
type methods struct{ enc, encPtr, dec, decPtr bool }

func (m methods) any() bool { return m.enc || m.encPtr || m.dec || m.decPtr }

func methodsOf(t reflect.Type) (m methods) {
	pointer := reflect.PointerTo(t)
	for i := range encodes {
		m.enc = m.enc || t.Implements(encodes[i])
		m.encPtr = m.encPtr || pointer.Implements(encodes[i])
		m.dec = m.dec || t.Implements(decodes[i])
		m.decPtr = m.decPtr || pointer.Implements(decodes[i])
	}
	return m
}

// plain reports whether a struct of type t is encoded as its fields.
func plain(t reflect.Type) bool {
	return t != reflect.TypeFor[time.Time]() && !methodsOf(t).any()
}

// own makes s the shape of a type with methods m. What these do is theirs and
// not looked into.
func (s *shape) own(m methods) {
	s.form = formOpaque
	switch {
	case s.typ.Kind() == reflect.Interface:
		s.oneWay = noType(s.typ)
	case !m.decPtr:
		s.oneWay = fmt.Sprintf("%s has a method to be encoded by, but none to be decoded by", s.typ)
	case !m.encPtr:
		s.oneWay = fmt.Sprintf("%s has a method to be decoded by, but none to be encoded by", s.typ)
	}
}

func noType(t reflect.Type) string {
	return fmt.Sprintf("%s is an interface, and bytes do not say which type to make of it", t)
}
