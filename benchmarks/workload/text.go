package workload

import (
	"math/rand/v2"
)

// text is an endless text of words as frequent as those of a language: the nth
// of them, counted from 1, is n times as rare as the first (Zipf's law).
type text struct {
	rng   *rand.Rand
	words [][]byte // in lower case, all different

	// The two tables of Walker's alias method, by which one random number is a
	// word: a word of each pair is taken with the probability that is kept,
	// and its alias otherwise.
	keep  []float64
	alias []int
}

const (
	vocabulary = 50_000
	lineBytes  = 100 // about
)

func newText(seed, stream uint64) *text {
	rng := rand.New(rand.NewPCG(seed, stream))
	t := &text{rng: rng, words: make([][]byte, vocabulary)}
	known := make(map[string]bool, vocabulary)
	for i := range t.words {
		for len(t.words[i]) == 0 || known[string(t.words[i])] {
			t.words[i] = letters(rng, 2+rng.IntN(4)+rng.IntN(6))
		}
		known[string(t.words[i])] = true
	}
	t.weigh()
	return t
}

func letters(rng *rand.Rand, n int) []byte {
	word := make([]byte, n)
	for i := range word {
		word[i] = byte('a' + rng.IntN(26))
	}
	return word
}

// weigh fills the tables.
func (t *text) weigh() {
	n := len(t.words)
	t.keep, t.alias = make([]float64, n), make([]int, n)
	sum := 0.0
	for i := range n {
		sum += 1 / float64(i+1)
	}
	var poor, rich []int
	for i := range n {
		if t.keep[i] = float64(n) / (float64(i+1) * sum); t.keep[i] < 1 {
			poor = append(poor, i)
		} else {
			rich = append(rich, i)
		}
	}
	for len(poor) > 0 && len(rich) > 0 {
		p, r := poor[len(poor)-1], rich[len(rich)-1]
		poor = poor[:len(poor)-1]
		t.alias[p] = r
		if t.keep[r] -= 1 - t.keep[p]; t.keep[r] < 1 {
			poor, rich = append(poor, r), rich[:len(rich)-1]
		}
	}
	for _, i := range append(poor, rich...) {
		t.keep[i] = 1 // as it is, but for rounding
	}
}

// next returns the index of the next word.
func (t *text) next() int {
	i := t.rng.IntN(len(t.words))
	if t.rng.Float64() < t.keep[i] {
		return i
	}
	return t.alias[i]
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
