package mapreduce

import "context"

// Words is the form of a MapReducer whose values are bools or numbers and are
// combined: each travels to its Combine as a machine word, and becomes bytes
// only once it is combined with all others that it meets.
type Words struct {
	// MapShard is Keyed.MapShard for pairs whose values are words.
	MapShard func(ctx context.Context, t *Task, emit func(key []byte, word uint64) error) error
	// Combine is the user's Combine, of words.
	Combine func(a, b uint64) uint64
	// Append appends the encoded value that a word stands for to dst.
	Append func(dst []byte, word uint64) []byte
}

// Words returns the form in words, if the values have one. See Keyed.
func (p *keyed[In, K, V, Out]) Words() *Words {
	if p.combiner == nil || !p.values.IsWord() {
		return nil
	}
	return &Words{
		MapShard: func(ctx context.Context, t *Task, emit func(key []byte, word uint64) error) error {
			return p.mapShard(ctx, t, &mapping[In, K, V, Out]{words: emit})
		},
		Combine: func(a, b uint64) uint64 {
			return p.values.Word(p.combiner.Combine(p.values.OfWord(a), p.values.OfWord(b)))
		},
		Append: func(dst []byte, word uint64) []byte {
			dst, _ = p.values.Append(dst, p.values.OfWord(word)) // which fails for no word
			return dst
		},
	}
}

// wordPair returns the emit that Map gets if values are words. For the usual
// kinds of key it is one that was compiled for them.
func (a *mapping[In, K, V, Out]) wordPair() func(K, V) {
	var emit any
	switch any(*new(K)).(type) {
	case []byte:
		emit = func(k []byte, v V) { a.addWord(k, a.values.Word(v)) }
	case string:
		emit = func(k string, v V) { a.addWord(bytesOf(k), a.values.Word(v)) }
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
			a.addWord(key, a.values.Word(v))
		}
	}
}

func (a *mapping[In, K, V, Out]) addWord(key []byte, word uint64) {
	if a.failed == nil {
		if err := a.words(key, word); err != nil {
			a.failWord(key, err)
		}
	}
}

func (a *mapping[In, K, V, Out]) failWord(key []byte, err error) {
	if len(key) > MaxKey {
		err = a.tooLong(key)
	}
	a.fail(err)
}
