package mapreduce

import (
	"fmt"

	"github.com/musterhq/muster/internal/codec"
)

// records says how a Mapper's In is made of each kind of input. What can't be
// made of one is nil.
type records[In any] struct {
	value    codec.Value[In]
	valueErr error
	line     func(Line) In
	file     func(File) In
}

func recordsOf[In any]() (r records[In]) {
	r.value, r.valueErr = codec.ValueOf[In]()
	// A function of the right type is found by assertion once, so that a line
	// is not boxed for it.
	as := func(lines, files any) {
		r.line, _ = lines.(func(Line) In)
		r.file, _ = files.(func(File) In)
	}
	switch any(new(In)).(type) {
	case *string:
		as(Line.String, func(f File) string { return string(f.Data) })
	case *[]byte:
		as(func(l Line) []byte { return l.Text }, func(f File) []byte { return f.Data })
	case *Line:
		as(func(l Line) Line { return l }, nil)
	case *File:
		as(nil, func(f File) File { return f })
	}
	return r
}

// check refuses an In that no input can be turned into.
func (r records[In]) check() error {
	if r.valueErr != nil && r.line == nil && r.file == nil {
		return fmt.Errorf("input type: %w", r.valueErr)
	}
	return nil
}

// A place is where a record came from, for the error that names it.
type place struct {
	file   string // empty for a value
	offset int64  // in file, or the index of the value
	whole  bool
}

// String returns the place as words that fit after "map".
func (p place) String() string {
	switch {
	case p.file == "":
		return fmt.Sprintf("value %d", p.offset)
	case p.whole:
		return p.file
	}
	return fmt.Sprintf("%s at byte %d", p.file, p.offset)
}
