package report

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/musterhq/muster/benchmarks/peers/stats"
)

// A curve is what one side has in a plot.
type curve struct {
	label string
	ours  bool
	color int // which of the colours of the page
	at    []mark
}

type mark struct {
	x float64
	y stats.Summary
}

// The measures of a plot, in units of its view box.
const (
	plotWidth  = 620
	plotHeight = 330
	plotLeft   = 72
	plotRight  = 24
	plotTop    = 14
	plotBottom = 46
	colors     = 8
)

// plot draws curves on logarithmic axes; that of x is linear if what is on it
// differs by little. ticks are the places on x that have a name.
func plot(title, unit string, curves []curve, ticks []Point) string {
	least, most := math.Inf(1), 0.0
	for _, c := range curves {
		for _, m := range c.at {
			if m.y.Min > 0 {
				least = min(least, m.y.Min)
			}
			most = max(most, m.y.Max)
		}
	}
	if most == 0 || len(ticks) == 0 {
		return ""
	}
	least, most = least*0.8, most*1.25
	first, last := ticks[0].X, ticks[len(ticks)-1].X
	x := scale(first, last, plotLeft+18, plotWidth-plotRight-18, last > 8*first)
	y := scale(least, most, plotHeight-plotBottom, plotTop, true)

	var s strings.Builder
	fmt.Fprintf(&s, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, plotHeight, html.EscapeString(title))
	for _, v := range decades(least, most) {
		fmt.Fprintf(&s, `<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text class="tick y" x="%d" y="%.1f">%s</text>`,
			plotLeft, y(v), plotWidth-plotRight, y(v), plotLeft-8, y(v), html.EscapeString(round(v)))
	}
	for _, t := range ticks {
		fmt.Fprintf(&s, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text class="tick x" x="%.1f" y="%d">%s</text>`,
			x(t.X), plotTop, x(t.X), plotHeight-plotBottom, x(t.X), plotHeight-plotBottom+17, html.EscapeString(t.Label))
	}
	fmt.Fprintf(&s, `<text class="tick x" x="%d" y="%d">%s</text>`, (plotLeft+plotWidth-plotRight)/2, plotHeight-9, html.EscapeString(unit))
	for _, ours := range []bool{false, true} { // ours on top
		for _, c := range curves {
			if c.ours == ours {
				c.draw(&s, x, y)
			}
		}
	}
	s.WriteString(`</svg>`)
	return s.String()
}

func (c curve) draw(s *strings.Builder, x, y func(float64) float64) {
	class := "curve"
	if c.ours {
		class = "curve own"
	}
	fmt.Fprintf(s, `<g class="%s" style="--c:var(--c%d)"><path d="`, class, c.color%colors)
	for i, m := range c.at {
		step := 'L'
		if i == 0 {
			step = 'M'
		}
		fmt.Fprintf(s, "%c%.1f %.1f", step, x(m.x), y(m.y.Median))
	}
	s.WriteString(`"/>`)
	for _, m := range c.at {
		if m.y.N > 1 && m.y.Min > 0 {
			fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x(m.x), y(m.y.Min), x(m.x), y(m.y.Max))
		}
		fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="4"><title>%s: %s</title></circle>`, x(m.x), y(m.y.Median), html.EscapeString(c.label), html.EscapeString(span(m.y)))
	}
	s.WriteString(`</g>`)
}

// scale returns what takes from..to to low..high.
func scale(from, to, low, high float64, log bool) func(float64) float64 {
	f := func(v float64) float64 { return v }
	if log {
		f = func(v float64) float64 { return math.Log(max(v, math.SmallestNonzeroFloat64)) }
	}
	a, b := f(from), f(to)
	return func(v float64) float64 {
		if a == b {
			return (low + high) / 2
		}
		return low + (f(v)-a)/(b-a)*(high-low)
	}
}

// decades returns round numbers from least to most: powers of ten, and others
// between them if there would be few.
func decades(least, most float64) (all []float64) {
	steps := []float64{1}
	switch {
	case most/least < 10:
		steps = []float64{1, 1.5, 2, 3, 4, 5, 6, 8}
	case most/least < 300:
		steps = []float64{1, 2, 5}
	}
	for e := math.Floor(math.Log10(least)); math.Pow(10, e) <= most; e++ {
		for _, step := range steps {
			if v := step * math.Pow(10, e); v >= least && v <= most {
				all = append(all, v)
			}
		}
	}
	return slices.Clip(all)
}

// round returns the name of one of them.
func round(v float64) string {
	n, unit, _ := strings.Cut(duration(v), " ")
	if strings.Contains(n, ".") {
		n = strings.TrimRight(strings.TrimRight(n, "0"), ".")
	}
	return n + " " + unit
}
