package side

import (
	"fmt"

	"github.com/musterhq/muster/benchmarks/peers/input"
)

const keyBytes = input.KeyBytes

// words emits each word of a line with 1.
func words(line []byte, emit func(word []byte, n int64)) error {
	begin := 0
	for i, c := range line {
		if c == ' ' || c == '\n' {
			if i > begin {
				emit(line[begin:i], 1)
			}
			begin = i + 1
		}
	}
	if begin < len(line) {
		emit(line[begin:], 1)
	}
	return nil
}

// row emits the key and the number of a line.
func row(line []byte, emit func(key []byte, n int64)) error {
	const key = 16
	if len(line) < key+2 || line[key] != '\t' {
		return fmt.Errorf("groupby: line %.100q: want a key and a number", line)
	}
	n := int64(0)
	for _, c := range line[key+1:] {
		n = n*10 + int64(c-'0')
	}
	emit(line[:key], n)
	return nil
}
