package mapreduce

import "context"

// Words is the form of a MapReducer whose values are bools or numbers and are
// combined: each travels to its Combine as a machine word, and becomes bytes
// only once it is combined with all others that it meets.
type Words struct {
	// MapShard is Keyed.MapShard for pairs whose values are words, which it
	// hands on many at a time.
	MapShard func(ctx context.Context, t *Task, emit EmitWords) error
	// Combine is the user's Combine, of words.
	Combine func(a, b uint64) uint64
	// Append appends the encoded value that a word stands for to dst.
	Append func(dst []byte, word uint64) []byte
}

// EmitWords takes pairs whose values are words. They are valid during the call
// only. The key of words[i] is in keys[i]: its bytes, then zeros, and in the
// last byte its length. If it is longer than that leaves room for, the last
// byte is 255, and the key is the next one in long.
type EmitWords = func(keys [][16]byte, long [][]byte, words []uint64) error

// Words returns the form in words, if the values have one. See Keyed.
func (p *keyed[In, K, V, Out]) Words() *Words {
	if p.combiner == nil || !p.values.IsWord() {
		return nil
	}
	values, combiner := p.values, p.combiner // at hand for each word
	return &Words{
		MapShard: func(ctx context.Context, t *Task, emit EmitWords) error {
			return p.mapShard(ctx, t, &mapping[In, K, V, Out]{words: &wordBatch{emit: emit}})
		},
		Combine: func(a, b uint64) uint64 {
			return values.Word(combiner.Combine(values.OfWord(a), values.OfWord(b)))
		},
		Append: func(dst []byte, word uint64) []byte {
			dst, _ = values.Append(dst, values.OfWord(word)) // which fails for no word
			return dst
		},
	}
}

// wordPair returns the emit that Map gets if values are words. For the usual
// kinds of key it is one that was compiled for them.
func (a *mapping[In, K, V, Out]) wordPair() func(K, V) {
	var emit any
	words, values := a.words, a.values // at hand for each word
	switch any(*new(K)).(type) {
	case []byte:
		emit = func(k []byte, v V) {
			if !words.add(k, values.Word(v)) {
				a.moreWords(k, values.Word(v))
			}
		}
	case string:
		emit = func(k string, v V) {
			if k := bytesOf(k); !words.add(k, values.Word(v)) {
				a.moreWords(k, values.Word(v))
			}
		}
	}
	if emit, ok := emit.(func(K, V)); ok {
		return emit
	}
	return func(k K, v V) {
		if a.failed == nil {
			key, err := a.key(&k)
			if err != nil {
				a.fail(err)
				return
			}
			a.moreWords(key, values.Word(v))
		}
	}
}

// moreWords adds a word whatever there is room for.
func (a *mapping[In, K, V, Out]) moreWords(key []byte, word uint64) {
	if a.failed != nil {
		return
	}
	if len(key) > MaxKey {
		a.fail(a.tooLong(key))
		return
	}
	if err := a.words.addAny(key, word); err != nil {
		a.fail(err)
	}
}
