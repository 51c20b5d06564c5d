package input

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Groups are lines of a key, a tab and a number. What has to come out is the
// sum of the numbers of each key.
type Groups struct {
	sums        []int64 // by key; -1 for one that is not there
	rows, bytes int64
}

// The distributions of keys. Any other is "zipf" with an exponent, as in
// "zipf1.2": a million keys by Zipf's law.
const (
	Distinct = "distinct" // each key is there once
	Hundred  = "hundred"  // each key is there about a hundred times
	One      = "one"      // there is one key
)

const zipfKeys = 1_000_000

// maxRows is what the sums of have room in memory.
const maxRows = 1 << 30

// MakeGroups writes rows lines whose keys are distributed as named.
func MakeGroups(ctx context.Context, dir string, rows int64, distribution string, seed uint64) (*Groups, error) {
	if rows < 1 || rows > maxRows {
		return nil, fmt.Errorf("input: %d rows: want 1 to %d", rows, maxRows)
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	next, keys, err := drawing(rng, rows, distribution)
	if err != nil {
		return nil, err
	}
	g := &Groups{sums: make([]int64, keys)}
	for i := range g.sums {
		g.sums[i] = -1
	}
	size := rows * GroupBytes
	g.bytes, err = write(ctx, dir, fileCount(size), size, func(dst []byte) []byte {
		key, value := next(g.rows), rng.Int64N(1000)
		g.rows++
		g.sums[key] = max(g.sums[key], 0) + value
		return appendGroup(dst, key, value)
	})
	return g, err
}

// drawing returns what gives the key of each row, and how many keys there may
// be.
func drawing(rng *rand.Rand, rows int64, distribution string) (next func(row int64) int64, keys int64, err error) {
	exponent, zipfian := strings.CutPrefix(distribution, "zipf")
	switch {
	case distribution == Distinct:
		return scattered(rows), rows, nil
	case distribution == Hundred:
		keys = max(rows/100, 1)
		return func(int64) int64 { return rng.Int64N(keys) }, keys, nil
	case distribution == One:
		return func(int64) int64 { return 0 }, 1, nil
	case zipfian:
		s, err := strconv.ParseFloat(exponent, 64)
		if err == nil && s > 0 && s <= 4 {
			z := newZipf(rng, zipfKeys, s)
			return func(int64) int64 { return int64(z.next()) }, zipfKeys, nil
		}
	}
	return nil, 0, fmt.Errorf("input: distribution %q: want distinct, hundred, one, or zipf with an exponent up to 4, as in zipf1.2", distribution)
}

// scattered returns a function that takes the numbers below n to each other,
// each to one of its own, in no order that a side could make use of.
func scattered(n int64) func(int64) int64 {
	factor := int64(0.6180339887*float64(n)) | 1
	for gcd(factor, n) != 1 {
		factor += 2
	}
	return func(i int64) int64 { return int64(uint64(i) * uint64(factor) % uint64(n)) } // neither is above maxRows by much
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// mixed is odd: multiplied by it, numbers differ as before, and their first
// digits do too.
const mixed = 0x9e3779b97f4a7c15

// inverse undoes mixed.
var inverse = func() uint64 {
	x := uint64(mixed)
	for range 6 {
		x *= 2 - mixed*x
	}
	return x
}()

// GroupBytes is how long a line is.
const GroupBytes = 16 + 1 + 3 + 1

// appendGroup appends a line: the key as 16 hexadecimal digits, and the value
// as 3 decimal ones.
func appendGroup(dst []byte, key, value int64) []byte {
	const hex = "0123456789abcdef"
	k := uint64(key) * mixed
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hex[k>>shift&15])
	}
	return append(dst, '\t', byte('0'+value/100), byte('0'+value/10%10), byte('0'+value%10), '\n')
}

// Size returns the number of rows.
func (g *Groups) Size() (items, bytes int64) { return g.rows, g.bytes }

// Check compares with the sums made while the rows were. A line is a key, a
// tab and its sum.
func (g *Groups) Check(ctx context.Context, dir string) error {
	want, got := 0, 0
	for _, sum := range g.sums {
		if sum >= 0 {
			want++
		}
	}
	seen := make([]bool, len(g.sums))
	err := eachLine(ctx, dir, func(line []byte) error {
		text, number, _ := bytes.Cut(line, []byte{'\t'})
		k, err := strconv.ParseUint(string(text), 16, 64)
		if err != nil || len(text) != 16 {
			return fmt.Errorf("line %.100q: want a key and its sum", line)
		}
		sum, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil {
			return fmt.Errorf("line %.100q: want a key and its sum", line)
		}
		i := k * inverse
		switch {
		case i >= uint64(len(g.sums)) || g.sums[i] < 0:
			return fmt.Errorf("key %s is not in the input", text)
		case seen[i]:
			return fmt.Errorf("key %s is there twice", text)
		case sum != g.sums[i]:
			return fmt.Errorf("key %s has the sum %d: want %d", text, sum, g.sums[i])
		}
		seen[i] = true
		got++
		return nil
	})
	if err == nil && got != want {
		err = fmt.Errorf("%d different keys: want %d", got, want)
	}
	return err
}
