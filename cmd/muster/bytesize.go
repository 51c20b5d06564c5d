package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag that takes numbers of bytes: 1048576, 1MiB, 1.5GB, 64k.
type byteSize int64

// units are factors of 1000, and of 1024 where an i says so.
var units = map[string]float64{
	"": 1, "b": 1,
	"k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
	"ki": 1 << 10, "kib": 1 << 10, "mi": 1 << 20, "mib": 1 << 20, "gi": 1 << 30, "gib": 1 << 30, "ti": 1 << 40, "tib": 1 << 40,
}

// Set takes the value of the flag.
func (b *byteSize) Set(s string) error {
	end := len(s) - len(strings.TrimLeft(s, "0123456789."))
	unit, known := units[strings.ToLower(strings.TrimSpace(s[end:]))]
	n, err := strconv.ParseFloat(s[:end], 64)
	if err != nil || !known || n*unit >= math.MaxInt64 {
		return fmt.Errorf("%q: want a number of bytes, as in 1048576, 256MiB or 1GB", s)
	}
	*b = byteSize(n * unit)
	return nil
}

// String is the number of bytes.
func (b *byteSize) String() string {
	if *b == 0 {
		return "" // which is not shown as the default
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Type names the value in the help.
func (*byteSize) Type() string { return "size" }
