package shuffle

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// BenchmarkShuffle carries a million pairs of a hundred thousand keys through
// one map output and eight partitions, and checks what comes out.
func BenchmarkShuffle(b *testing.B) {
	for _, bench := range []struct {
		name    string
		memory  int64
		combine CombineFunc
	}{
		{"memory", 256 << 20, nil},
		{"spill", 16 << 20, nil},
		{"combine", 256 << 20, sum},
	} {
		b.Run(bench.name, func(b *testing.B) { benchmark(b, bench.memory, bench.combine) })
	}
}

func benchmark(b *testing.B, memory int64, combine CombineFunc) {
	const records, keys, parts = 1_000_000, 100_000, 8
	seed := maphash.MakeSeed()
	partition := func(k []byte) int { return int(maphash.Bytes(seed, k) >> 61) }
	s := newPool(b, memory, "a").nodes["a"]
	b.ReportAllocs()
	var bytes int64
	for b.Loop() {
		w, err := s.Writer(WriterConfig{Attempt: attempt(0, 1), Partitions: parts, Partition: partition, Combine: combine})
		if err != nil {
			b.Fatal(err)
		}
		var want uint64
		key, value := []byte("key-00000000"), make([]byte, 8)
		x := uint64(1)
		for i := range uint32(records) {
			x = x*6364136223846793005 + 1442695040888963407
			binary.BigEndian.PutUint32(key[4:], i%keys*2654435761)
			binary.BigEndian.PutUint64(value, x>>40)
			want += x >> 40
			if err := w.Add(key, value); err != nil {
				b.Fatal(err)
			}
		}
		st, err := w.Commit()
		if err != nil {
			b.Fatal(err)
		}
		bytes = st.Bytes
		var got uint64
		distinct := 0
		for p := range parts {
			r, err := s.Read(b.Context(), ReadConfig{Run: testRun, Partition: p, Sources: []job.Source{{Node: "a", Maps: []job.MapOutputID{outputID(0, 1)}}}})
			if err != nil {
				b.Fatal(err)
			}
			for _, vs := range r.Groups() {
				distinct++
				for v := range vs {
					got += binary.BigEndian.Uint64(v)
				}
			}
			if r.Err() != nil {
				b.Fatal(r.Err())
			}
			r.Close()
		}
		if got != want || distinct != keys {
			b.Fatalf("sum %d of %d keys, want %d of %d", got, distinct, want, keys)
		}
		s.Drop(testRun)
	}
	b.SetBytes(bytes)
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkWords adds up ten million words of which there are as many
// different ones as the name says.
func BenchmarkWords(b *testing.B) {
	for _, keys := range []int{1, 1000, 100_000, 10_000_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			const records = 10_000_000
			s := newPool(b, 256<<20, "a").nodes["a"]
			b.ReportAllocs()
			for b.Loop() {
				w, err := s.Writer(WriterConfig{Attempt: attempt(0, 1), Partitions: 8, Partition: byFirst(8), Combine: sum, Words: adding})
				if err != nil {
					b.Fatal(err)
				}
				var batch words
				key := make([]byte, 12)
				for i := range uint32(records) {
					binary.BigEndian.PutUint32(key[4:], i%uint32(keys)*2654435761)
					if batch.add(key, 1); len(batch.words) == maxBatch || i == records-1 {
						if err := batch.addTo(w); err != nil {
							b.Fatal(err)
						}
					}
				}
				st, err := w.Commit()
				if err != nil || st.Records != records || st.Kept < int64(keys) {
					b.Fatalf("got %+v, %v, want %d records of %d keys", st, err, records, keys)
				}
				s.Drop(testRun)
			}
			b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
