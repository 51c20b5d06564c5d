package input

import (
	"math"
	"math/rand/v2"
)

// zipf draws numbers of which the nth, counted from 0, is as frequent as
// 1/(n+1)^exponent, by Walker's alias method: a number of each pair is taken
// with the probability that is kept, and its alias otherwise.
type zipf struct {
	rng   *rand.Rand
	keep  []float32
	alias []uint32
}

func newZipf(rng *rand.Rand, n int, exponent float64) *zipf {
	weights, sum := make([]float64, n), 0.0
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -exponent)
		sum += weights[i]
	}
	z := &zipf{rng: rng, keep: make([]float32, n), alias: make([]uint32, n)}
	var poor, rich []int
	for i := range weights {
		if weights[i] *= float64(n) / sum; weights[i] < 1 {
			poor = append(poor, i)
		} else {
			rich = append(rich, i)
		}
	}
	for len(poor) > 0 && len(rich) > 0 {
		p, r := poor[len(poor)-1], rich[len(rich)-1]
		poor = poor[:len(poor)-1]
		z.keep[p], z.alias[p] = float32(weights[p]), uint32(r)
		if weights[r] -= 1 - weights[p]; weights[r] < 1 {
			poor, rich = append(poor, r), rich[:len(rich)-1]
		}
	}
	for _, i := range append(poor, rich...) {
		z.keep[i] = 1 // as it is, but for rounding
	}
	return z
}

func (z *zipf) next() int {
	i := z.rng.IntN(len(z.keep))
	if z.rng.Float32() < z.keep[i] {
		return i
	}
	return int(z.alias[i])
}
