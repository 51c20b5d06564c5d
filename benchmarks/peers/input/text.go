package input

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// Vocabulary is how many different words a text may have.
const Vocabulary = 200_000

const lineBytes = 100 // about

// Text is lines of words that are as frequent as those of a language, which is
// by Zipf's law. What has to come out is how often each word is there.
type Text struct {
	words  [][]byte
	counts []int64
	total  int64
	bytes  int64
}

// MakeText writes a text of about size bytes. The nth word is as frequent as
// 1/n^exponent.
func MakeText(ctx context.Context, dir string, size int64, exponent float64, seed uint64) (*Text, error) {
	rng := rand.New(rand.NewPCG(seed, 1))
	t := &Text{words: vocabulary(rng, Vocabulary), counts: make([]int64, Vocabulary)}
	z := newZipf(rng, Vocabulary, exponent)
	var err error
	t.bytes, err = write(ctx, dir, fileCount(size), size, func(dst []byte) []byte {
		for len(dst) < lineBytes {
			i := z.next()
			t.counts[i]++
			t.total++
			dst = append(append(dst, t.words[i]...), ' ')
		}
		dst[len(dst)-1] = '\n'
		return dst
	})
	return t, err
}

// vocabulary returns n different words in lower case.
func vocabulary(rng *rand.Rand, n int) [][]byte {
	words, known := make([][]byte, n), make(map[string]bool, n)
	for i := range words {
		for len(words[i]) == 0 || known[string(words[i])] {
			words[i] = words[i][:0]
			for range 2 + rng.IntN(4) + rng.IntN(6) {
				words[i] = append(words[i], byte('a'+rng.IntN(26)))
			}
		}
		known[string(words[i])] = true
	}
	return words
}

// Size returns the number of words.
func (t *Text) Size() (items, bytes int64) { return t.total, t.bytes }

// Check compares with the count made while the text was. A line is a word and
// its count with a tab between them, or, as uniq writes it, the count and the
// word with spaces around the count.
func (t *Text) Check(ctx context.Context, dir string) error {
	index := make(map[string]int, len(t.words))
	for i, word := range t.words {
		if t.counts[i] > 0 {
			index[string(word)] = i
		}
	}
	seen := make([]bool, len(t.words))
	got := 0
	err := eachLine(ctx, dir, func(line []byte) error {
		word, number, ok := bytes.Cut(line, []byte{'\t'})
		if !ok {
			number, word, ok = bytes.Cut(bytes.TrimLeft(line, " "), []byte{' '})
		}
		n, err := strconv.ParseInt(string(number), 10, 64)
		if !ok || err != nil {
			return fmt.Errorf("line %.100q: want a word and its count", line)
		}
		i, ok := index[string(word)]
		switch {
		case !ok:
			return fmt.Errorf("word %.100q is not in the text", word)
		case seen[i]:
			return fmt.Errorf("word %.100q is there twice", word)
		case n != t.counts[i]:
			return fmt.Errorf("word %.100q %d times: want %d", word, n, t.counts[i])
		}
		seen[i] = true
		got++
		return nil
	})
	if err == nil && got != len(index) {
		err = fmt.Errorf("%d different words: want %d", got, len(index))
	}
	return err
}
