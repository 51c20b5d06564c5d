package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/musterhq/muster/benchmarks/peers/stats"
)

// figure returns v with three digits that count, or all that are before the
// point.
func figure(v float64) string {
	digits := 2
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 999.5:
		return Count(int64(math.Round(v)))
	case a < 0.9995:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case a >= 99.95:
		digits = 0
	case a >= 9.995:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// Count returns n with its thousands apart.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// Size returns n bytes in the largest unit that leaves at least one of them.
func Size(n int64) string {
	v, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, u
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + unit
}

// duration returns a number of seconds in the unit that is read best.
func duration(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a < 0.9995e-6:
		return figure(v*1e9) + " ns"
	case a < 0.9995e-3:
		return figure(v*1e6) + " µs"
	case a < 0.9995:
		return figure(v*1e3) + " ms"
	}
	return figure(v) + " s"
}

// span returns a median with its range.
func span(s stats.Summary) string {
	switch s.N {
	case 0:
		return "-"
	case 1:
		return duration(s.Median)
	}
	return fmt.Sprintf("%s [%s, %s]", duration(s.Median), duration(s.Min), duration(s.Max))
}

// times returns a ratio; there is none if nothing was measured.
func times(s stats.Summary) string {
	if s.N == 0 {
		return "-"
	}
	return figure(s.Median) + "×"
}

// firstLine returns what there is room for of an error.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "…"
	}
	return line
}
