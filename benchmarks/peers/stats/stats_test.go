package stats

import "testing"

func TestSummaryIsInTheMiddleWhateverTheOrder(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Summary
	}{
		{nil, Summary{}},
		{[]float64{3}, Summary{1, 3, 3, 3}},
		{[]float64{9, 1, 2}, Summary{3, 1, 2, 9}},
		{[]float64{4, 1, 2, 100}, Summary{4, 1, 3, 100}},
	} {
		if got := Summarize(c.values); got != c.want {
			t.Errorf("got %+v of %v, want %+v", got, c.values, c.want)
		}
	}
}

func TestRatiosPairWhatWasMeasuredInOneRound(t *testing.T) {
	// The third round was ten times as slow for both, which changes nothing.
	got := Ratios([]float64{2, 2.2, 20}, []float64{1, 1, 10})
	if want := (Summary{3, 2, 2, 2.2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := Ratios([]float64{1, 2, 3}, []float64{0, 1}); got != (Summary{1, 2, 2, 2}) {
		t.Errorf("got %+v, want only the round in which both took something", got)
	}
}

func TestQuantileIsOneOfTheValues(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := Quantile(values, q); got != want {
			t.Errorf("got %v at %v, want %v", got, q, want)
		}
	}
	if got := Quantile(nil, 0.5); got != 0 {
		t.Errorf("got %v of nothing, want 0", got)
	}
}
