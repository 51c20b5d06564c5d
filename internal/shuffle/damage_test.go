package shuffle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// damaged makes two map outputs, a sound one and one of so many pairs in two
// partitions, and returns the other's file.
func damaged(t testing.TB, memory int64, pairs int) (s *Shuffle, path string, want groups, sources []job.Source) {
	p := newPool(t, memory, "a", "b")
	s = p.nodes["a"]
	var sound, hurt []pair
	for i := range pairs {
		k := string(rune('a'+i%26)) + strings.Repeat("k", i%9)
		hurt = append(hurt, pair{k, fmt.Sprintf("%08x", uint32(i)*2654435761)[:i%8]})
		sound = append(sound, pair{k, "s"})
	}
	write(t, s, 0, 2, nil, sound)
	write(t, s, 1, 2, nil, hurt)
	want = oracle(inPart(sound, 2, 0), inPart(hurt, 2, 0))
	r, err := s.run(testRun)
	if err != nil {
		t.Fatal(err)
	}
	return s, r.path(outputID(1, 1)), want, []job.Source{{Node: "a", Maps: []job.MapOutputID{outputID(0, 1), outputID(1, 1)}}}
}

// repair makes the node hold the map output again.
func repair(s *Shuffle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[testRun].outputs[outputID(1, 1)] = true
}

func TestAnyFlippedBitOfAMapOutputIsNoticedOrHarmless(t *testing.T) {
	for _, test := range []struct {
		memory        int64
		pairs, layers int
	}{{1 << 20, 90, 1}, {64 << 10, 3000, 2}} {
		t.Run(fmt.Sprint(test.layers), func(t *testing.T) { flipBits(t, test.memory, test.pairs, test.layers) })
	}
}

func flipBits(t *testing.T, memory int64, pairs, least int) {
	s, path, want, sources := damaged(t, memory, pairs)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, layers, err := openOutput(s.held(testRun, outputID(1, 1)), outputID(1, 1), 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if len(layers) < least {
		t.Fatalf("%d layers, want %d: try more pairs", len(layers), least)
	}
	within, size := func(at int64) bool {
		return slices.ContainsFunc(layers, func(e extent) bool { return at >= e.off && at < e.off+e.size })
	}, int64(0)
	for _, e := range layers {
		size += e.size
	}
	other, err := os.Create(path + ".x")
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	remote := &Shuffle{}
	for _, reader := range []string{"local", "remote"} {
		if reader == "remote" {
			p := &pool{nodes: map[string]*Shuffle{"a": s}}
			remote = p.node(t, "c", 1<<20)
		}
		lost, tried := 0, 0
		for i := 0; i < len(whole); i += 1 + len(whole)/2048 {
			tried++
			hurt := slices.Clone(whole)
			hurt[i] ^= 1 << (i % 8)
			if err := os.WriteFile(path, hurt, 0o644); err != nil {
				t.Fatal(err)
			}
			from := s
			if reader == "remote" {
				from = remote
			}
			r, err := from.Read(t.Context(), ReadConfig{Run: testRun, Sources: sources})
			if err != nil {
				t.Fatal(err)
			}
			got, err := collect(r)
			var le *LostError
			switch {
			case errors.As(err, &le):
				lost++
				if !slices.Equal(le.Outputs, []job.MapOutputID{outputID(1, 1)}) {
					t.Fatalf("%s, byte %d: lost %v", reader, i, le.Outputs)
				}
			case err != nil:
				t.Fatalf("%s, byte %d: %v", reader, i, err)
			case within(int64(i)):
				t.Fatalf("%s, byte %d of the partition: not noticed", reader, i)
			default:
				if err := equalGroups(got, want); err != nil {
					t.Fatalf("%s, byte %d: %v", reader, i, err)
				}
			}
			repair(s)
		}
		// What may go unnoticed is the other partition and its index entries.
		noticed := size + int64(footerSize+len(layers)*entrySize)
		if rest := tried - lost; int64(rest*len(whole)/tried) > int64(len(whole))-noticed+int64(len(whole)/tried) {
			t.Errorf("%s: %d of %d bytes not noticed", reader, rest, tried)
		}
	}
	os.Remove(path + ".x")
}

func TestATruncatedMapOutputIsLost(t *testing.T) {
	s, path, _, sources := damaged(t, 1<<20, 90)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, footerSize, len(whole) / 2, len(whole) - entrySize, len(whole) - 1} {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := s.Read(t.Context(), ReadConfig{Run: testRun, Sources: sources})
		if err != nil {
			t.Fatal(err)
		}
		_, err = collect(r)
		var le *LostError
		if !errors.As(err, &le) || len(le.Outputs) != 1 || le.Outputs[0].Task != 1 {
			t.Errorf("%d bytes: %v", n, err)
		}
		if s.Has(testRun, outputID(1, 1)) {
			t.Errorf("%d bytes: the node still says it holds it", n)
		}
		repair(s)
	}
}

// A segment of arbitrary bytes ends in an error or in records in order.
func FuzzSegment(f *testing.F) {
	b := newBudget(1 << 20)
	raw := []byte{0, 1, 1, 'a', 'x', 1, 0, 1, 'y', 0, 1, 0, 'b'}
	block := appendBlock(make([]byte, 0, blockRoom(len(raw))), raw, 0, 0, true)
	f.Add(block, int64(3), true)
	f.Add(raw, int64(3), false)
	f.Add([]byte{0, 0x80, 0x80, 0x80, 0x80, 0x10}, int64(1), false)
	f.Fuzz(func(t *testing.T, data []byte, records int64, framed bool) {
		if !framed { // wrap it, so that what is behind the checksum is tried too
			if len(data) == 0 {
				return
			}
			data = appendBlock(make([]byte, 0, blockRoom(len(data))), data, 0, 0, true)
		}
		seg := &segment{extent: extent{size: int64(len(data)), records: records}, mem: data}
		if len(data) == 0 || seg.check() != nil {
			return
		}
		a := b.account()
		defer a.close()
		m := &merger{acct: a, alive: func() error { return nil }}
		defer m.close()
		if err := m.start([]*segment{seg}); err != nil {
			return
		}
		var last []byte
		for m.live {
			k := m.winner().key
			if bytes.Compare(k, last) < 0 {
				t.Fatalf("key %q after %q", k, last)
			}
			last = append(last[:0], k...)
			if _, err := m.next(); err != nil {
				return
			}
		}
	})
}

// A file of arbitrary bytes is never taken for the map output it is not.
func FuzzLocate(f *testing.F) {
	head := appendHeader(nil, testRun, outputID(1, 1), 1)
	index := appendIndex(nil, 0, 0, extent{off: int64(len(head))})
	f.Add(appendFooter(append(slices.Clone(head), index...), int64(len(head)), 1, 1), 0)
	f.Add([]byte(magicFoot), 3)
	f.Fuzz(func(t *testing.T, data []byte, part int) {
		part &= maxParts - 1
		layers, err := locate(bytes.NewReader(data), int64(len(data)), testRun, outputID(1, 1), part)
		for _, e := range layers {
			if err == nil && (e.off < 0 || e.size < 0 || e.off+e.size > int64(len(data))) {
				t.Fatalf("segment %+v in %d bytes", e, len(data))
			}
		}
	})
}

// A node that answers anything at all can't make a reader do worse than lose
// what it asked for.
func FuzzAnswer(f *testing.F) {
	s, _, _, _ := damaged(f, 1<<20, 90)
	var answer bytes.Buffer
	req := appendRequest(nil, testRun, 0, []*wanted{{id: outputID(0, 1)}, {id: outputID(7, 1)}, {id: outputID(1, 1)}})
	if err := s.serve(f.Context(), req, nopCloser{&answer}); err != nil {
		f.Fatal(err)
	}
	f.Add(answer.Bytes())
	f.Add(frame{kind: frameEnd}.append(nil))
	f.Add(frame{kind: frameHere, seg: extent{size: 1 << 40, records: 5}}.append(nil))
	p := &pool{nodes: map[string]*Shuffle{}}
	reader := p.node(f, "c", 1<<20)
	f.Fuzz(func(t *testing.T, data []byte) {
		reader.open = func(context.Context, string, []byte) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data)), nil
		}
		r, err := reader.Read(t.Context(), ReadConfig{Run: testRun, Sources: []job.Source{{Node: "x", Maps: []job.MapOutputID{outputID(0, 1), outputID(1, 1)}}}})
		if err != nil {
			t.Fatal(err)
		}
		collect(r)
	})
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func FuzzRequest(f *testing.F) {
	f.Add(appendRequest(nil, testRun, 3, []*wanted{{id: outputID(1, 2)}}))
	f.Add([]byte{version, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRequest(data)
		if err != nil {
			return
		}
		var all []*wanted
		for _, id := range r.ids {
			all = append(all, &wanted{id: id})
		}
		if got := appendRequest(nil, r.run, r.part, all); !bytes.Equal(got, data) {
			t.Fatalf("%x was read as %x", data, got)
		}
	})
}
