package mapreduce

const (
	batchWords = 64
	batchBytes = 4 << 10 // of long keys, but for the last one
	shortKey   = 15      // bytes of the longest one that has room in its place
	isLong     = 255
)

// A wordBatch is words on their way to emit.
type wordBatch struct {
	emit  EmitWords
	n     int
	keys  [batchWords][shortKey + 1]byte
	words [batchWords]uint64
	long  [][]byte
	bytes []byte // of long
}

// add adds a word, unless its key is long or there is no room for it.
func (b *wordBatch) add(key []byte, word uint64) bool {
	n := b.n
	if n >= batchWords || len(key) > shortKey {
		return false
	}
	k := &b.keys[n]
	*k = [shortKey + 1]byte{shortKey: byte(len(key))}
	copy(k[:], key)
	b.words[n] = word
	b.n = n + 1
	return true
}

// addAny adds a word in any case.
func (b *wordBatch) addAny(key []byte, word uint64) error {
	if b.n == batchWords || len(b.bytes) >= batchBytes {
		if err := b.flush(); err != nil {
			return err
		}
	}
	if b.add(key, word) {
		return nil
	}
	at := len(b.bytes)
	b.bytes = append(b.bytes, key...)
	b.long = append(b.long, b.bytes[at:])
	b.keys[b.n][shortKey], b.words[b.n] = isLong, word
	b.n++
	return nil
}

// flush hands on what there is.
func (b *wordBatch) flush() error {
	n := b.n
	if n == 0 {
		return nil
	}
	err := b.emit(b.keys[:n], b.long, b.words[:n])
	b.n, b.long, b.bytes = 0, b.long[:0], b.bytes[:0]
	if cap(b.bytes) > 4*batchBytes { // for one large key
		b.bytes = nil
	}
	return err
}
