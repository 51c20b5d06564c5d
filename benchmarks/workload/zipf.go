package workload

import (
	"math"
	"math/rand/v2"
)

// zipf draws numbers from 0 on: the nth of them, counted from 1, is n to the
// power of a skew times as rare as the first.
type zipf struct {
	rng *rand.Rand

	// The two tables of Walker's alias method, by which one random number is a
	// draw: a number of each pair is taken with the probability that is kept,
	// and its alias otherwise.
	keep  []float64
	alias []int
}

func newZipf(rng *rand.Rand, n int, skew float64) *zipf {
	z := &zipf{rng: rng, keep: make([]float64, n), alias: make([]int, n)}
	sum := 0.0
	for i := range n {
		z.keep[i] = math.Pow(float64(i+1), -skew)
		sum += z.keep[i]
	}
	var poor, rich []int
	for i := range n {
		if z.keep[i] *= float64(n) / sum; z.keep[i] < 1 {
			poor = append(poor, i)
		} else {
			rich = append(rich, i)
		}
	}
	for len(poor) > 0 && len(rich) > 0 {
		p, r := poor[len(poor)-1], rich[len(rich)-1]
		poor = poor[:len(poor)-1]
		z.alias[p] = r
		if z.keep[r] -= 1 - z.keep[p]; z.keep[r] < 1 {
			poor, rich = append(poor, r), rich[:len(rich)-1]
		}
	}
	for _, i := range append(poor, rich...) {
		z.keep[i] = 1 // as it is, but for rounding
	}
	return z
}

// next returns the next number.
func (z *zipf) next() int {
	i := z.rng.IntN(len(z.keep))
	if z.rng.Float64() < z.keep[i] {
		return i
	}
	return z.alias[i]
}
