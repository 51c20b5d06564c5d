package mapreduce

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Registry names the processors that a node can run. Every node that may work
// on a job holds its processor under the same name.
type Registry map[string]Processor

// Register adds p under name. A name that is taken is refused: it would be
// unclear which of the two a run gets.
func (r Registry) Register(name string, p Processor) error {
	switch err := checkName(name); {
	case err != nil:
		return fmt.Errorf("mapreduce: register %T: %w", p, err)
	case p == nil:
		return fmt.Errorf("mapreduce: register %q: the processor is nil", name)
	case r[name] != nil:
		return fmt.Errorf("mapreduce: register %q: the name is taken by %T: give %T another one", name, r[name], p)
	}
	r[name] = p
	return nil
}

// Validate returns what keeps a node from serving r: each name that can't be
// written in an address or a file name, and each processor that Check refuses.
func (r Registry) Validate() error {
	var all []error
	for _, name := range slices.Sorted(maps.Keys(r)) {
		err := checkName(name)
		if err == nil {
			err = Check(r[name])
		}
		if err != nil {
			all = append(all, fmt.Errorf("mapreduce: processor %q: %w", name, err))
		}
	}
	return errors.Join(all...)
}

// Check returns why the tasks of p would fail whatever their input: p is nil,
// or it was made by Of and a type in it can't be encoded.
func Check(p Processor) error {
	if p == nil {
		return errors.New("mapreduce: the processor is nil")
	}
	if c, ok := p.(interface{ check() error }); ok {
		return c.check()
	}
	return nil
}

const maxName = 100

// checkName refuses names that would need quoting in an ID, a URL or a path.
func checkName(name string) error {
	if len(name) < 1 || len(name) > maxName {
		return fmt.Errorf("the name %q has %d characters: want 1 to %d", name, len(name), maxName)
	}
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune("._-/", c):
		default:
			return fmt.Errorf("the name %q has %q in it: letters a to z and A to Z, digits, '.', '-', '_' and '/' are possible", name, c)
		}
	}
	return nil
}

// Keyed is the byte form of a MapReducer, as the runtime calls it. Keys are
// encoded so that equal keys have equal bytes and the order of the bytes is
// the order of the keys.
type Keyed interface {
	// MapShard maps each record of t's input, which is a ValuesPayload or a
	// SplitPayload; without a payload it maps one empty record. The bytes that
	// emit is given are valid during the call only. An error of emit ends the
	// mapping and is returned. If the user's Map panics, so does MapShard,
	// with a *RecordPanic.
	MapShard(ctx context.Context, t *Task, emit func(key, value []byte) error) error
	// ReduceGroups reduces each group in turn and passes on its key and
	// encoded output, which are valid during the call only. It ranges over the values of each group
	// exactly once and to the end, wherever the user's Reduce stops; a key must
	// be valid until its values are asked for, a value until the next one is.
	// If they can't be read to the end, cancel ctx. If the user's Reduce
	// panics, so does ReduceGroups, with a *RecordPanic.
	// CanReduce says whether there is a Reduce. If there is none, the pairs
	// that MapShard emits are those of the output.
	ReduceGroups(ctx context.Context, t *Task, groups iter.Seq2[[]byte, iter.Seq[[]byte]], out func(key, value []byte) error) error
	CanReduce() bool
	// Combine appends the combination of the encoded values a and b to dst,
	// which must not overlap them. CanCombine says whether there is one.
	Combine(dst, a, b []byte) ([]byte, error)
	CanCombine() bool
	// Words returns a second form of MapShard and Combine, which is much
	// quicker, for values that are combined and are bools or numbers. Nil
	// means that there is none.
	Words() *Words
	// AppendText appends one line of output, with its end, in the given
	// format to dst; see TSV and JSON.
	AppendText(dst []byte, format string, key, value []byte) ([]byte, error)
}

// Powers is what a processor can do beyond Process. A nil field is a power it
// does not have.
type Powers struct {
	Keyed   Keyed
	Before  Preparing
	Reduce  Reducing
	Version string
}

// PowersOf finds out what p can do. It is the one place that asks.
func PowersOf(p Processor) Powers {
	var powers Powers
	powers.Keyed, _ = p.(Keyed)
	powers.Before, _ = p.(Preparing)
	powers.Reduce, _ = p.(Reducing)
	if v, ok := p.(Versioned); ok {
		powers.Version = v.Version()
	}
	return powers
}
