package shuffle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// adding is sum in words.
var adding = &Words{
	Combine: func(a, b uint64) uint64 { return a + b },
	Append:  func(dst []byte, word uint64) []byte { return binary.BigEndian.AppendUint64(dst, word) },
	Alive:   func() error { return nil },
}

func wordWriter(t testing.TB, s *Shuffle, task, parts int, words *Words) *Writer {
	t.Helper()
	w, err := s.Writer(WriterConfig{Attempt: attempt(task, 1), Partitions: parts, Partition: byFirst(parts), Combine: sum, Words: words})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Abort)
	return w
}

// addWord adds one word.
func addWord(w *Writer, key []byte, word uint64) error {
	var b words
	b.add(key, word)
	return b.addTo(w)
}

// words are words on their way to a Writer.
type words struct {
	keys  [][16]byte
	long  [][]byte
	words []uint64
}

func (b *words) add(key []byte, word uint64) {
	k := [16]byte{15: byte(len(key))}
	if len(key) <= whole {
		copy(k[:], key)
	} else {
		k[15] = long
		b.long = append(b.long, bytes.Clone(key))
	}
	b.keys, b.words = append(b.keys, k), append(b.words, word)
}

// addTo adds the words to w, and forgets them.
func (b *words) addTo(w *Writer) error {
	err := w.AddWords(b.keys, b.long, b.words)
	clear(b.keys) // which are not AddWords' to keep
	for _, key := range b.long {
		clear(key)
	}
	b.keys, b.long, b.words = b.keys[:0], b.long[:0], b.words[:0]
	return err
}

// likeKey makes keys of all lengths around those that matter, many of which
// begin alike.
func likeKey(rng *rand.Rand) []byte {
	key := make([]byte, rng.IntN(20))
	if rng.IntN(50) == 0 {
		key = make([]byte, rng.IntN(3000))
	}
	for i := range key {
		key[i] = "\x00\x00\x00\x00\xffa"[rng.IntN(6)]
	}
	return key
}

func TestProbesAreEqualOnlyIfTheKeysAre(t *testing.T) {
	rng := chance(t)
	known := map[probe]string{}
	var buf [16]byte
	for range 100_000 {
		key := likeKey(rng)
		p := probeOf(key)
		if p == (probe{}) || p.long() != (len(key) > whole) {
			t.Fatalf("probe of %q is %x", key, p)
		}
		if p.long() {
			continue
		}
		if other, ok := known[p]; ok && other != string(key) {
			t.Fatalf("%q and %q have the same probe", other, key)
		}
		known[p] = string(key)
		if got := p.key(&buf); !bytes.Equal(got, key) {
			t.Fatalf("the key of the probe of %q is %q", key, got)
		}
	}
}

func TestPrefixHasTheOrderOfTheKeys(t *testing.T) {
	rng := chance(t)
	for range 100_000 {
		a, b := likeKey(rng), likeKey(rng)
		if pa, pb := prefix(a), prefix(b); pa < pb && bytes.Compare(a, b) >= 0 || pa > pb && bytes.Compare(a, b) <= 0 {
			t.Fatalf("prefixes of %q and %q are %x and %x", a, b, pa, pb)
		}
	}
}

func TestWordsComeToTheSameSumsWhateverTheMemory(t *testing.T) {
	rng := chance(t)
	for round := range 20 {
		memory := int64(2<<10) << rng.IntN(14)
		p := newPool(t, memory, "a", "b")
		parts := 1 + rng.IntN(5)
		sources := []job.Source{{Node: "a"}, {Node: "b"}}
		want := make(map[string]uint64)
		for task := range 1 + rng.IntN(6) {
			w := wordWriter(t, p.nodes[sources[task%2].Node], task, parts, adding)
			n := rng.IntN(8000)
			var b words
			for i := range n {
				key, word := likeKey(rng), rng.Uint64N(1000)
				want[string(key)] += word
				if b.add(key, word); i == n-1 || rng.IntN(100) == 0 {
					if err := b.addTo(w); err != nil {
						t.Fatal(err)
					}
				}
			}
			st, err := w.Commit()
			if err != nil || st.Records != int64(n) || st.Kept > st.Records {
				t.Fatalf("round %d: %d words: %+v, %v", round, n, st, err)
			}
			sources[task%2].Maps = append(sources[task%2].Maps, outputID(task, 1))
		}
		if err := equalSums(t, p.nodes["a"], sources, parts, want); err != nil {
			t.Fatalf("round %d, memory %d: %v", round, memory, err)
		}
	}
}

// With few repeats the table gives up: what it knew must not get lost.
func TestWordsWhateverTheShareOfRepeats(t *testing.T) {
	for _, memory := range []int64{1 << 20, 16 << 20, 64 << 20} {
		for _, keys := range []int{1, 10, 70_000, 200_000} {
			s := newPool(t, memory, "a").nodes["a"]
			w := wordWriter(t, s, 0, 3, adding)
			want := make(map[string]uint64)
			for i := range 200_000 {
				key := fmt.Sprint(i%keys, strings.Repeat(" key", i%keys%5))
				want[key] += uint64(i)
				if err := addWord(w, []byte(key), uint64(i)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := equalSums(t, s, []job.Source{{Node: "a", Maps: []job.MapOutputID{outputID(0, 1)}}}, 3, want); err != nil {
				t.Errorf("memory %d, %d keys: %v", memory, keys, err)
			}
		}
	}
}

func equalSums(t *testing.T, s *Shuffle, sources []job.Source, parts int, want map[string]uint64) error {
	t.Helper()
	got := make(map[string]uint64)
	for part := range parts {
		r, err := s.Read(t.Context(), ReadConfig{Run: testRun, Partition: part, Sources: sources, Combine: sum})
		if err != nil {
			return err
		}
		groups, err := collect(r)
		if err != nil {
			return err
		}
		for _, g := range groups {
			if _, ok := got[g.key]; ok {
				return fmt.Errorf("key %q comes twice", g.key)
			}
			got[g.key] = 0
			for _, v := range g.values {
				got[g.key] += binary.BigEndian.Uint64([]byte(v))
			}
		}
	}
	for key, n := range want {
		if sum, ok := got[key]; !ok || sum != n {
			return fmt.Errorf("key %.40q is %d, want %d", key, sum, n)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d keys, want %d", len(got), len(want))
	}
	return nil
}

func TestWordsThatCannotBeAddedFailTheWriter(t *testing.T) {
	s := newPool(t, 1<<20, "a").nodes["a"]
	gone := errors.New("gone")
	dying := *adding
	dying.Alive = func() error { return gone }
	for task, c := range []struct {
		words *Words
		key   int // bytes
		want  string
	}{
		{adding, maxKey + 1, "limit"},
		{&dying, 1, "gone"},
		{nil, 1, "without Words"},
	} {
		w := wordWriter(t, s, task, 1, c.words)
		var err error
		for range 2 {
			err = addWord(w, make([]byte, c.key), 1)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want an error about %q", err, c.want)
		}
		if _, again := w.Commit(); !errors.Is(again, err) {
			t.Errorf("Commit: got %v, want %v", again, err)
		}
	}
	w := wordWriter(t, s, 9, 1, adding)
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := addWord(w, []byte("k"), 1); err == nil {
		t.Error("AddWords after Commit: got no error")
	}
}

// A word of a key that is known costs no memory at all.
func TestAddWordsDoesNotAllocate(t *testing.T) {
	s := newPool(t, 64<<20, "a").nodes["a"]
	w := wordWriter(t, s, 0, 4, adding)
	var b words
	for range maxBatch {
		for _, key := range []string{"the", "a key of more than a few bytes", "", "of"} {
			b.add([]byte(key), 1)
		}
	}
	add := func() {
		if err := w.AddWords(b.keys, b.long, b.words); err != nil {
			t.Fatal(err)
		}
	}
	add()
	if got := testing.AllocsPerRun(100, add); got != 0 {
		t.Errorf("%v allocations for %d words, want none", got, len(b.words))
	}
}

// Nor does a group that is read, or a pair.
func TestGroupsDoNotAllocate(t *testing.T) {
	s := newPool(t, 64<<20, "a").nodes["a"]
	allocs := func(task, keys int, each func(*Reader)) float64 {
		var pairs []pair
		for i := range keys {
			pairs = append(pairs, pair{fmt.Sprintf("%06d", i), "value"})
		}
		write(t, s, task, 1, nil, pairs)
		return testing.AllocsPerRun(5, func() {
			r, err := s.Read(t.Context(), ReadConfig{Run: testRun, Sources: []job.Source{{Node: "a", Maps: []job.MapOutputID{outputID(task, 1)}}}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			each(r)
		})
	}
	groups := func(r *Reader) {
		for _, values := range r.Groups() {
			values(func([]byte) bool { return true })
		}
	}
	pairs := func(r *Reader) {
		for range r.Pairs() {
		}
	}
	if few, many := allocs(0, 10, groups), allocs(1, 2000, groups); many > few+40 {
		t.Errorf("%v allocations for 10 groups, and %v for 2000", few, many)
	}
	if few, many := allocs(2, 10, pairs), allocs(3, 2000, pairs); many > few+40 {
		t.Errorf("%v allocations for 10 pairs, and %v for 2000", few, many)
	}
}

// Blocks that do not compress are not tried for long, and one that does is
// found in time.
func TestCompressionIsNotTriedInVainForLong(t *testing.T) {
	var th thrift
	var tried []int
	for i := range 400 {
		if th.try() {
			tried = append(tried, i)
			th.tried(false)
		}
	}
	if want := []int{0, 2, 6, 14, 30, 62, 126, 190, 254, 318, 382}; !slices.Equal(tried, want) {
		t.Errorf("tried %v, want %v", tried, want)
	}
	for !th.try() {
	}
	th.tried(true)
	for i := range 3 {
		if !th.try() {
			t.Errorf("block %d after one that compressed was not tried", i)
		}
	}
}
