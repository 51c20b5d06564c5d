package mapreduce

import (
	"context"
	"errors"
	"fmt"
)

// MapShard maps each record of t's input in turn. See Keyed.
func (p *keyed[In, K, V, Out]) MapShard(ctx context.Context, t *Task, emit func(key, value []byte) error) error {
	return p.mapShard(ctx, t, &mapping[In, K, V, Out]{emit: emit})
}

func (p *keyed[In, K, V, Out]) mapShard(ctx context.Context, t *Task, a *mapping[In, K, V, Out]) error {
	if p.err != nil {
		return p.err
	}
	ctx, cancel := context.WithCancelCause(WithTask(ctx, t))
	defer cancel(nil)
	a.keyed, a.ctx, a.cancel, a.buf = p, ctx, cancel, make([]byte, 0, 256)
	a.pair = a.add
	if a.words != nil {
		a.pair = a.wordPair()
	}
	defer a.locatePanic()
	if err := a.run(t.Payload); err != nil || a.words == nil {
		return err
	}
	return a.words.flush()
}

// A mapping is one attempt to map the input of a task. Its buffer and its
// emit are made once and serve every record.
type mapping[In, K, V, Out any] struct {
	*keyed[In, K, V, Out]
	ctx    context.Context // of the attempt, which is the mapping's life
	cancel context.CancelCauseFunc
	emit   func(key, value []byte) error // where pairs go, or
	words  *wordBatch                    // where those with words as values do
	pair   func(K, V)                    // add or wordPair, as a value that can be passed on

	at     place // the record that is being mapped
	inMap  bool  // whether the user's Map is on the stack
	buf    []byte
	failed error // why a pair was not taken in
}

func (a *mapping[In, K, V, Out]) run(payload []byte) error {
	if len(payload) == 0 { // no input at all: one record, without content
		var in In
		return a.record(in)
	}
	kind, body, err := unwrap(payload)
	switch {
	case err != nil:
		return err
	case kind == kindValues:
		return a.mapValues(body)
	case kind != kindSplit:
		return Permanent(fmt.Errorf("mapreduce: payload of a map task is of kind %q: want values or a split", kind))
	}
	split, err := decodeSplit(body)
	switch {
	case err != nil:
		return err
	case split.Whole:
		return a.mapFiles(split)
	}
	return a.mapLines(split)
}

func (a *mapping[In, K, V, Out]) mapValues(body []byte) error {
	if err := a.records.valueErr; err != nil {
		return Permanent(fmt.Errorf("mapreduce: %T maps %s, which can't be made of inline values: %w", a.m, typeName[In](), err))
	}
	m := newMeter(a.ctx)
	defer m.flush()
	for len(body) > 0 {
		b, rest, err := nextItem(body)
		var in In
		if err == nil {
			in, err = a.records.value.Decode(b)
		}
		if err != nil {
			return Permanent(fmt.Errorf("mapreduce: %v as %s: %w", a.at, typeName[In](), err))
		}
		m.add(len(b))
		if err := a.record(in); err != nil {
			return err
		}
		body = rest
		a.at.offset++
	}
	return nil
}

func (a *mapping[In, K, V, Out]) mapLines(s Split) error {
	if a.records.line == nil {
		return Permanent(fmt.Errorf("mapreduce: %T maps %s, which can't be made of a line: want string, []byte or mapreduce.Line", a.m, typeName[In]()))
	}
	for line, err := range s.Lines(a.ctx) {
		if err != nil {
			return err
		}
		a.at = place{file: line.File, offset: line.Offset}
		if err := a.record(a.records.line(line)); err != nil {
			return err
		}
	}
	return nil
}

func (a *mapping[In, K, V, Out]) mapFiles(s Split) error {
	if a.records.file == nil {
		return Permanent(fmt.Errorf("mapreduce: %T maps %s, which can't be made of a whole file: want string, []byte or mapreduce.File", a.m, typeName[In]()))
	}
	for file, err := range s.Files(a.ctx) {
		if err != nil {
			return err
		}
		a.at = place{file: file.Path, whole: true}
		if err := a.record(a.records.file(file)); err != nil {
			return err
		}
	}
	return nil
}

// record maps one record.
func (a *mapping[In, K, V, Out]) record(in In) error {
	a.inMap = true
	err := a.m.Map(a.ctx, in, a.pair)
	a.inMap = false
	switch {
	case a.failed != nil: // whatever Map made of that
		return a.failed
	case a.ctx.Err() != nil && (err == nil || errors.Is(err, a.ctx.Err())):
		return context.Cause(a.ctx)
	case err != nil:
		return fmt.Errorf("mapreduce: map %v: %w", a.at, err)
	}
	return nil
}

// add is the emit that Map gets.
func (a *mapping[In, K, V, Out]) add(k K, v V) {
	if a.failed != nil {
		return
	}
	if err := a.encode(k, v); err != nil {
		a.fail(err)
	}
}

// fail notes why a pair was not taken in. No more of them are.
func (a *mapping[In, K, V, Out]) fail(err error) {
	a.failed = err
	a.cancel(err)
}

func (a *mapping[In, K, V, Out]) encode(k K, v V) error {
	key, err := a.key(&k)
	if err != nil {
		return err
	}
	n := len(a.buf)
	b, err := a.values.Append(a.buf, v)
	if err != nil {
		return Permanent(fmt.Errorf("mapreduce: map %v: emit value of key %s: %w", a.at, shown(k), err))
	}
	a.buf = b[:0]
	if len(b)-n > MaxValue {
		return Permanent(fmt.Errorf("mapreduce: map %v: emit value of key %s: it has %d bytes and may have %d: emit it in parts", a.at, shown(k), len(b)-n, MaxValue))
	}
	return a.emit(key, b[n:])
}

// key returns the encoded key: the bytes of k itself, or else those that buf
// now holds.
func (a *mapping[In, K, V, Out]) key(k *K) ([]byte, error) {
	key, ok := a.keys.View(k)
	if !ok {
		b, err := a.keys.Append(a.buf[:0], *k)
		if err != nil {
			return nil, Permanent(fmt.Errorf("mapreduce: map %v: emit key %s: %w", a.at, shown(*k), err))
		}
		key, a.buf = b[:len(b):len(b)], b
	}
	if len(key) > MaxKey {
		return nil, a.tooLong(*k)
	}
	return key, nil
}

func (a *mapping[In, K, V, Out]) tooLong(key any) error {
	return Permanent(fmt.Errorf("mapreduce: map %v: emit key %s: it has more than the %d bytes it may have: emit a hash of it and carry it in the value", a.at, shown(key), MaxKey))
}

// locatePanic lets a panic of Map go on, with the record that caused it. The
// stack below is still that of the panic.
func (a *mapping[In, K, V, Out]) locatePanic() {
	if !a.inMap {
		return
	}
	if v := recover(); v != nil {
		panic(&RecordPanic{Where: fmt.Sprintf("map %v", a.at), Value: v})
	}
}

// RecordPanic is what the runtime recovers when Map or Reduce panics: what
// they panicked with, and on what.
type RecordPanic struct {
	// Where names the record or the key, as in "map access.log at byte 4096".
	Where string
	// Value is the value that the user's code panicked with.
	Value any
}

// Error returns both as text.
func (p *RecordPanic) Error() string { return fmt.Sprintf("mapreduce: %s: %v", p.Where, p.Value) }

// Unwrap returns the value if it is an error.
func (p *RecordPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}
