package workload

import (
	"cmp"
	"math/rand/v2"

	"github.com/musterhq/muster/benchmarks"
)

// text is an endless text of words as frequent as those of a language: the nth
// of them, counted from 1, is n times as rare as the first (Zipf's law).
type text struct {
	*zipf
	words [][]byte // in lower case, all different
}

const (
	vocabulary = 50_000
	lineBytes  = 100 // about
)

func newText(o benchmarks.Options, stream uint64) *text {
	n := cmp.Or(o.Keys, vocabulary)
	rng := rand.New(rand.NewPCG(o.Seed, stream))
	t := &text{words: make([][]byte, n)}
	known := make(map[string]bool, n)
	for i := range t.words {
		for len(t.words[i]) == 0 || known[string(t.words[i])] {
			t.words[i] = letters(rng, 2+rng.IntN(4)+rng.IntN(6))
		}
		known[string(t.words[i])] = true
	}
	t.zipf = newZipf(rng, n, cmp.Or(o.Skew, 1))
	return t
}

func letters(rng *rand.Rand, n int) []byte {
	word := make([]byte, n)
	for i := range word {
		word[i] = byte('a' + rng.IntN(26))
	}
	return word
}

// appendLine appends a line and calls each with the index of every word in it.
func (t *text) appendLine(dst []byte, each func(word int)) []byte {
	for begin := len(dst); len(dst)-begin < lineBytes; {
		i := t.next()
		each(i)
		dst = append(append(dst, t.words[i]...), ' ')
	}
	dst[len(dst)-1] = '\n'
	return dst
}

// fields calls each with every word of a line.
func fields(line []byte, each func(word []byte)) {
	begin := 0
	for i, c := range line {
		if c == ' ' || c == '\n' {
			if i > begin {
				each(line[begin:i])
			}
			begin = i + 1
		}
	}
	if begin < len(line) {
		each(line[begin:])
	}
}
