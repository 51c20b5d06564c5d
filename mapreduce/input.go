package mapreduce

import (
	"fmt"
	"strings"
)

// Limits on the input. What is beyond them fails the task for good, because
// it has to be held in memory as a whole.
const (
	// MaxLine is the most bytes a line may have, without its end.
	MaxLine = 16 << 20
	// MaxFile is the most bytes a file may have that is one record, after it
	// was decompressed.
	MaxFile = 64 << 20
)

// A Split is what one map task reads: pieces of files. It is the payload of a
// task that has files as its input, so a Processor gets at it by
//
//	var split mapreduce.Split
//	err := t.Decode(&split)
//
// and goes on with Lines or Files.
type Split struct {
	// Whole says that each file is one record, instead of each line.
	Whole bool `msgpack:"w,omitempty"`
	// Ranges are the pieces, in order.
	Ranges []Range `msgpack:"r"`
}

// A Range is a piece of one file. A line belongs to the range that holds its
// first byte, so ranges that cover a file, however they cut it, yield each
// line exactly once.
type Range struct {
	// Path is the file's name, the same on every node. A name that ends in
	// ".gz" is decompressed while it is read; such a file can't be cut.
	Path string `msgpack:"p"`
	// Offset is where the piece begins, in bytes.
	Offset int64 `msgpack:"o,omitempty"`
	// Length is how many bytes it has. A negative length means up to the end
	// of the file. In a ".gz" file it counts compressed bytes and the whole
	// file is read in any case.
	Length int64 `msgpack:"l,omitempty"`
	// Size is how many bytes the file had when the run was accepted. A file
	// that has become smaller since fails the attempt; what was appended is
	// not read. Zero means that it was not looked at.
	Size int64 `msgpack:"s,omitempty"`
}

// A Line is one line of a file.
type Line struct {
	// File is the name of the file.
	File string
	// Offset is where the line begins in it, in bytes; for a ".gz" file in
	// the decompressed bytes.
	Offset int64
	// Text is the line without its end, which is "\n" or "\r\n". It is valid
	// until the next line is asked for; String makes a copy.
	Text []byte
}

// String returns a copy of the line's text.
func (l Line) String() string { return string(l.Text) }

// A File is a whole file.
type File struct {
	// Path is its name.
	Path string
	// Data is what is in it. A file whose name ends in ".gz" has been
	// decompressed.
	Data []byte
}

// compressed reports whether r is decompressed while it is read.
func (r Range) compressed() bool { return strings.HasSuffix(r.Path, ".gz") }

// check refuses a range that no cut of a file can have made.
func (r Range) check() error {
	switch {
	case r.Path == "":
		return Permanent(fmt.Errorf("mapreduce: a range of the split has no path: name a file"))
	case r.Offset < 0:
		return Permanent(fmt.Errorf("mapreduce: range of %s: offset %d is negative", r.Path, r.Offset))
	case r.compressed() && r.Offset > 0:
		return Permanent(fmt.Errorf("mapreduce: range of %s begins at %d: a .gz file can only be read from its start", r.Path, r.Offset))
	}
	return nil
}

// end returns where the range ends, which for a negative length is never.
func (r Range) end() int64 {
	const never = 1<<63 - 1
	if r.Length < 0 || r.compressed() || r.Length > never-r.Offset {
		return never
	}
	return r.Offset + r.Length
}

// cut reports whether r may be less than the whole file, of size bytes.
func (r Range) cut(size int64) bool { return r.Offset > 0 || r.end() < size }
