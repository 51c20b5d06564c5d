package codec

import "testing"

func BenchmarkKeyString(b *testing.B) { benchKey(b, "a word of a text") }

func BenchmarkKeyInt(b *testing.B) { benchKey(b, 1<<40) }

func BenchmarkKeyStruct(b *testing.B) {
	benchKey(b, struct {
		S string
		N int
	}{"a word", 7})
}

func BenchmarkValueString(b *testing.B) { benchValue(b, "a word of a text") }

func BenchmarkValueInt(b *testing.B) { benchValue(b, 1<<40) }

func BenchmarkValueStruct(b *testing.B) {
	benchValue(b, inner{A: 5, M: map[string]int{"a": 1, "b": 2}})
}

func BenchmarkCheck(b *testing.B) {
	v, err := Marshal(map[string]any{"list": make([]int, 100), "text": string(make([]byte, 300))})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(v)))
	for b.Loop() {
		if err := Check(v); err != nil {
			b.Fatal(err)
		}
	}
}

func benchKey[K comparable](b *testing.B, k K) {
	c, err := KeyOf[K]()
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	var got K
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = c.Append(buf[:0], k)
		got, err = c.Decode(buf)
	}
	if err != nil || got != k {
		b.Fatalf("got %v, %v, want %v", got, err, k)
	}
}

func benchValue[V any](b *testing.B, v V) {
	c, err := ValueOf[V]()
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = c.Append(buf[:0], v); err != nil {
			b.Fatal(err)
		}
		if _, err = c.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}
