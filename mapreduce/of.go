package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/musterhq/muster/internal/codec"
)

// Of makes a Processor of m, which runs in mode mapreduce. The type parameters
// follow from m's methods:
//
//	mapreduce.Of(wordCount{})
//
// If m is a Combiner or Versioned too, so is the Processor.
//
// K must be a type whose order can be kept in bytes (numbers, strings, times,
// and arrays and structs of such); V and Out any type that can be encoded. If
// one of them is not, the Processor's tasks fail; Check says so beforehand.
//
// In follows from the input. Values are decoded into it. For the lines of
// files it is string, []byte or Line; for whole files string, []byte or File.
func Of[In, K, V, Out any](m MapReducer[In, K, V, Out]) Processor {
	return newKeyed[In, K, V, Out](m, m)
}

// OfMap makes a Processor of m alone. There is no Reduce: every pair that Map
// emits is a pair of the output, those of a partition in the order of their
// keys, and those of one key in the order of the input. In a job that is Sorted
// that is a sort, and a stable one, and takes less than a Reduce that returns
// what it is given.
//
// As an Output such pairs are read with Pairs: Collect would keep one of each
// key. A Combine has no place in it.
func OfMap[In, K, V any](m Mapper[In, K, V]) Processor {
	return newKeyed[In, K, V, V](m, nil)
}

// newKeyed returns m and r, which may be nil, in byte form.
func newKeyed[In, K, V, Out any](m Mapper[In, K, V], r Reducer[K, V, Out]) *keyed[In, K, V, Out] {
	p := &keyed[In, K, V, Out]{m: m, reducer: r}
	p.combiner, _ = any(m).(Combiner[V])
	if v, ok := any(m).(Versioned); ok {
		p.version = v.Version()
	}
	var errKey, errValue, errOut error
	p.keys, errKey = codec.KeyOf[K]()
	p.values, errValue = codec.ValueOf[V]()
	p.outs, errOut = codec.ValueOf[Out]()
	p.records = recordsOf[In]()
	p.keyText, p.outText = textFor[K](), textFor[Out]()
	p.keyPlain, p.outPlain = isPlain[K](), isPlain[Out]()
	if err := errors.Join(
		inField("key type", errKey),
		inField("value type", errValue),
		inField("output type", errOut),
		p.records.check(),
		checkCombine[V](m),
		checkAlone(m, p.combiner != nil && r == nil),
	); err != nil {
		p.err = Permanent(fmt.Errorf("mapreduce: %T can't be run: %w", m, err))
	}
	return p
}

func inField(field string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", field, err)
}

// checkCombine finds a Combine that is meant for a Combiner and would silently
// never be called.
func checkCombine[V any](m any) error {
	t := reflect.TypeOf(m)
	if _, ok := m.(Combiner[V]); ok || t == nil {
		return nil
	}
	if f := reflect.ValueOf(m).MethodByName("Combine"); f.IsValid() {
		return fmt.Errorf("method Combine is a %v and does not fit values of type %s: make it Combine(a, b %[2]s) %[2]s, or name it differently", f.Type(), typeName[V]())
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[Combiner[V]]()) {
		return fmt.Errorf("method Combine belongs to *%v: pass a pointer to Of", t)
	}
	return nil
}

// checkAlone refuses a Combine without a Reduce, since nobody could tell which
// pairs there will be.
func checkAlone(m any, combines bool) error {
	if combines {
		return fmt.Errorf("%T has a Combine and no Reduce to add up what is left: give it a Reduce and pass it to Of", m)
	}
	return nil
}

// keyed is a Mapper, and mostly a Reducer, in byte form. It is shared by all
// tasks of a node.
type keyed[In, K, V, Out any] struct {
	m        Mapper[In, K, V]
	reducer  Reducer[K, V, Out] // or nil: pairs pass as they are
	combiner Combiner[V]        // or nil
	version  string

	keys    codec.Key[K]
	values  codec.Value[V]
	outs    codec.Value[Out]
	records records[In]

	keyText            textOf[K]
	outText            textOf[Out]
	keyPlain, outPlain bool // whether the text is what is encoded

	err error // why it can't be run, or nil
}

// Process refuses: a keyed processor has no form for a single task.
func (p *keyed[In, K, V, Out]) Process(context.Context, *Task) (any, error) {
	if p.err != nil {
		return nil, p.err
	}
	return nil, Permanent(fmt.Errorf("mapreduce: %T maps and reduces by key: run it in mode mapreduce, or leave the mode out", p.m))
}

func (p *keyed[In, K, V, Out]) Version() string { return p.version }

func (p *keyed[In, K, V, Out]) check() error { return p.err }

func (p *keyed[In, K, V, Out]) CanReduce() bool { return p.reducer != nil }

func (p *keyed[In, K, V, Out]) CanCombine() bool { return p.combiner != nil }

func (p *keyed[In, K, V, Out]) Combine(dst, a, b []byte) ([]byte, error) {
	va, err := p.values.Decode(a)
	if err != nil {
		return dst, fmt.Errorf("mapreduce: value to combine: %w", err)
	}
	vb, err := p.values.Decode(b)
	if err != nil {
		return dst, fmt.Errorf("mapreduce: value to combine: %w", err)
	}
	combined, err := p.values.Append(dst, p.combiner.Combine(va, vb))
	if err != nil {
		return dst, Permanent(fmt.Errorf("mapreduce: combined value: %w", err))
	}
	return combined, nil
}

func (p *keyed[In, K, V, Out]) AppendText(dst []byte, format string, key, value []byte) ([]byte, error) {
	switch format {
	case TSV:
		return p.appendTSV(dst, key, value)
	case JSON:
		k, v, err := p.decodePair(key, value)
		if err != nil {
			return dst, err
		}
		return appendObject(dst, k, v)
	}
	return dst, Permanent(fmt.Errorf("mapreduce: output format %q: there are %q and %q", format, TSV, JSON))
}

func (p *keyed[In, K, V, Out]) decodePair(key, value []byte) (k K, v Out, err error) {
	if k, err = p.keys.Decode(key); err != nil {
		return k, v, fmt.Errorf("mapreduce: key to write: %w", err)
	}
	if v, err = p.outs.Decode(value); err != nil {
		return k, v, fmt.Errorf("mapreduce: value of key %s to write: %w", shown(k), err)
	}
	return k, v, nil
}
