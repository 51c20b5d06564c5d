// Package stats says what several measurements of one thing come to.
//
// The machine that measures is never quiet: a figure is a median with the
// least and the most beside it, and what compares two sides is the median of
// ratios that were each taken within one round, so that a round in which the
// machine was slow is slow for both.
package stats

import (
	"math"
	"slices"
)

// A Summary is what some measurements come to. The zero value is that of none.
type Summary struct {
	N      int     `json:"n"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// Summarize returns the summary of values. The median of an even number of
// them is half way between the two in the middle.
func Summarize(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Summary{N: n, Min: sorted[0], Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Max: sorted[n-1]}
}

// Ratios returns the summary of a over b, one by one. Those in which b took
// nothing that could be measured are left out.
func Ratios(a, b []float64) Summary {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return Summarize(ratios)
}

// Quantile returns the smallest of values that a share q of them is not above,
// and 0 of none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
