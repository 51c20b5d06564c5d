package state

import (
	"fmt"
	"sync"
	"testing"
)

// An entry of the outcomes of a thousand tasks has about 20 kB.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("bytes=20000/writers=%d", writers), func(b *testing.B) { benchAppend(b, writers, 20_000) })
	}
	b.Run("bytes=100/writers=1", func(b *testing.B) { benchAppend(b, 1, 100) })
	b.Run("bytes=1000000/writers=4", func(b *testing.B) { benchAppend(b, 4, 1_000_000) })
}

func benchAppend(b *testing.B, writers, size int) {
	s := open(b, b.TempDir())
	entry := make([]byte, size)
	for i := range entry {
		entry[i] = byte(i * i)
	}
	for w := range writers {
		created(b, s, fmt.Sprintf("d/j@%d", w))
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			id := crashRun(w)
			for i := range b.N / writers {
				if err := s.Append(b.Context(), id, 1, uint64(i), [][]byte{entry}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	for w := range writers {
		n := 0
		for _, err := range s.Journal(crashRun(w), 0) {
			must(b, err)
			n++
		}
		if n != b.N/writers {
			b.Fatalf("run %d has %d entries, want %d", w, n, b.N/writers)
		}
	}
}
