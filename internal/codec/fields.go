package codec

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// fillStruct finds the fields of a struct and their shapes.
func (d *draft) fillStruct(s *shape) *fault {
	s.form, s.names = formStruct, map[string]*shape{}
	found, f := fieldsOf(s.typ, nil)
	if f != nil {
		return f
	}
	for _, e := range found.list {
		of, f := d.draw(e.typ)
		if f != nil {
			return f.within(e.goName)
		}
		head, err := appendString(nil, e.name)
		if err != nil {
			return &fault{what: e.typ.String(), why: "has a name that is too long: shorten it"}
		}
		s.field = append(s.field, field{
			name: e.name, index: e.index, omitEmpty: e.omitEmpty, shape: of, offset: s.typ.FieldByIndex(e.index).Offset, head: head,
		})
	}
	for name, t := range found.names {
		if s.names[name], f = d.draw(t); f != nil {
			return f
		}
	}
	s.direct = isDirect(s.typ, s.field, len(s.names))
	if found.hidden && len(s.field) == 0 {
		return &fault{what: s.typ.String(), why: "has unexported fields only, so nothing of it would be encoded: export them or give it a msgpack marshaler"}
	}
	return nil
}

// entry is a field as it is declared.
type entry struct {
	name   string // that it is encoded under
	goName string
	index  []int
	typ    reflect.Type

	omitEmpty bool
}

// entries is the fields of a struct.
type entries struct {
	list   []entry
	names  map[string]reflect.Type // what each name is decoded to
	hidden bool                    // some are not exported
}

func (es *entries) add(e entry) {
	es.list = append(es.list, e)
	es.names[e.name] = e.typ
}

// fieldsOf finds the fields of struct t as the library finds them: each under
// the name in its msgpack tag or else its own, and those of an embedded struct
// among them unless one of their names is taken. Outer is what t is embedded
// in: the library would follow a type that embeds itself until the stack
// overflows.
func fieldsOf(t reflect.Type, outer []reflect.Type) (*entries, *fault) {
	if slices.Contains(outer, t) {
		return nil, &fault{what: t.String(), why: "embeds itself: give the field a name"}
	}
	es := &entries{names: map[string]reflect.Type{}}
	omitEmpty := false // all of them
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := parseTag(sf.Tag.Get("msgpack"))
		refuse := func(why string) (*entries, *fault) {
			return nil, (&fault{what: sf.Type.String(), why: why}).within(sf.Name)
		}
		omitEmpty = omitEmpty || sf.Name == "_msgpack" && tag.has("omitempty")
		switch {
		case tag.name == "-":
			continue
		case !sf.IsExported() && !sf.Anonymous:
			es.hidden = es.hidden || sf.Name != "_"
			continue
		case !ok:
			return refuse("has a msgpack tag with a quote, backslash or bracket: use plain names")
		case tag.has("intern"):
			return refuse("has the tag option intern, which needs a memory on both sides: remove it")
		}
		e := entry{tag.name, sf.Name, sf.Index, sf.Type, omitEmpty || tag.has("omitempty")}
		if e.name == "" {
			e.name = sf.Name
		}
		// No other package could make the struct that a pointer embedded under
		// a name that is not exported is to point at.
		reachable := sf.IsExported() || sf.Type.Kind() != reflect.Pointer
		if sf.Anonymous && reachable && !tag.has("noinline") {
			done, f := es.embed(e, tag.has("inline"), append(slices.Clone(outer), t))
			if f != nil {
				return nil, f.within(sf.Name)
			}
			if done {
				continue
			}
		}
		if !sf.IsExported() {
			return refuse("is embedded and not exported: export it or tag it `msgpack:\"-\"`")
		}
		if slices.ContainsFunc(es.list, func(other entry) bool { return other.name == e.name }) {
			return refuse("has the name " + strconv.Quote(e.name) + " when encoded, as another field has: give it another in its msgpack tag")
		}
		es.add(e)
		if tag.alias != "" {
			es.names[tag.alias] = e.typ
		}
	}
	return es, nil
}

// embed adds the fields of the embedded struct e. It is false if e is to be a
// field like any other.
func (es *entries) embed(e entry, always bool, outer []reflect.Type) (bool, *fault) {
	t := e.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || !always && !plain(t) {
		return false, nil
	}
	inner, f := fieldsOf(t, outer)
	if f != nil {
		return false, f
	}
	taken := func(e entry) bool { return es.names[e.name] != nil }
	if !always && slices.ContainsFunc(inner.list, taken) {
		return false, nil
	}
	for _, sub := range inner.list {
		if !taken(sub) {
			sub.index = append(slices.Clone(e.index), sub.index...)
			sub.goName = e.goName + "." + sub.goName
			es.add(sub)
		}
	}
	if len(inner.list) > 0 {
		es.names[e.name] = e.typ
	}
	return true, nil
}

// tag is a struct tag: a name, then options.
type tag struct {
	name, alias string
	options     []string
}

// parseTag is false for a tag that takes more than splitting it at its commas.
func parseTag(text string) (t tag, ok bool) {
	for i, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		key, value, pair := strings.Cut(part, ":")
		switch {
		case i == 0 && !pair:
			t.name = part
		case key == "alias":
			t.alias = value
		default:
			t.options = append(t.options, key)
		}
	}
	return t, !strings.ContainsAny(text, `'\(`)
}

func (t tag) has(option string) bool { return slices.Contains(t.options, option) }
