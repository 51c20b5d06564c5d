package sharding

import (
	"math"
	"math/rand/v2"
	"testing"
)

// files returns sizes from nothing to well above target.
func files(chance *rand.Rand, target int64) []int64 {
	sizes := make([]int64, chance.IntN(60))
	for i := range sizes {
		switch chance.IntN(4) {
		case 0:
			sizes[i] = chance.Int64N(target*20 + 1)
		case 1:
			sizes[i] = target*chance.Int64N(4) + chance.Int64N(3) - 1 // around multiples, and -1
		default:
			sizes[i] = chance.Int64N(target/4 + 1)
		}
	}
	return sizes
}

func TestSplitCoversEveryByteOnce(t *testing.T) {
	chance := seeded(t)
	for range 1000 {
		target := 1 + chance.Int64N(10_000)
		sizes := files(chance, target)
		odd := func(i int) bool { return i%3 == 1 }
		file, offset := 0, int64(0) // the next byte, if the promise holds
		next := func() {
			for file < len(sizes) && offset == max(sizes[file], 0) {
				file, offset = file+1, 0
			}
		}
		seen := map[int]int{}
		for _, input := range Split(sizes, target, odd) {
			if len(input) == 0 {
				t.Fatal("got an input without pieces")
			}
			var sum int64
			for _, p := range input {
				seen[p.File]++
				sum += p.Length
				if p.Length == 0 {
					if sizes[p.File] > 0 {
						t.Fatalf("piece %+v of a file of %d bytes is empty", p, sizes[p.File])
					}
					continue
				}
				next()
				if p.File != file || p.Offset != offset {
					t.Fatalf("target %d, sizes %v: got piece %+v, want file %d at %d", target, sizes, p, file, offset)
				}
				offset += p.Length
			}
			if sum > target && (len(input) > 1 || !odd(input[0].File)) {
				t.Fatalf("input %+v has %d bytes, want at most %d", input, sum, target)
			}
		}
		if next(); file != len(sizes) {
			t.Fatalf("target %d, sizes %v: nothing covers file %d from %d", target, sizes, file, offset)
		}
		for i := range sizes {
			if seen[i] == 0 || seen[i] > 1 && odd(i) {
				t.Fatalf("file %d of %d bytes has %d pieces, whole is %v", i, sizes[i], seen[i], odd(i))
			}
		}
	}
}

func TestSplitCutsLargeFilesIntoEqualPieces(t *testing.T) {
	inputs := Split([]int64{1001}, 100, nil)
	if len(inputs) != 11 {
		t.Fatalf("got %d inputs, want 11", len(inputs))
	}
	for _, in := range inputs {
		if n := in[0].Length; n != 91 {
			t.Errorf("got a piece of %d bytes, want 91", n)
		}
	}
}

func TestSplitPacksSmallFiles(t *testing.T) {
	sizes := make([]int64, 1000)
	for i := range sizes {
		sizes[i] = 8 << 10
	}
	if got := len(Split(sizes, 1<<20, nil)); got != 8 {
		t.Errorf("got %d inputs of 1000 files, want 8", got)
	}
	empty := make([]int64, 3*maxPieces)
	if got := len(Split(empty, 0, nil)); got != 3 {
		t.Errorf("got %d inputs of %d empty files, want 3", got, len(empty))
	}
}

func TestSplitOfNothingIsNothing(t *testing.T) {
	if got := Split(nil, 100, nil); len(got) != 0 {
		t.Errorf("got %v, want no inputs", got)
	}
}

func TestSplitBearsTheLargestFile(t *testing.T) {
	inputs := Split([]int64{math.MaxInt64}, math.MaxInt64/3, nil)
	var sum int64
	for _, in := range inputs {
		sum += in[0].Length
	}
	if len(inputs) != 4 || sum != math.MaxInt64 {
		t.Errorf("got %d inputs of %d bytes, want 4 of %d", len(inputs), sum, int64(math.MaxInt64))
	}
}
