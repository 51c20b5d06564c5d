package report

import (
	"fmt"
	"html"
	"strings"

	"github.com/musterhq/muster/benchmarks/peers/stats"
)

// A bar is a line of a chart of bars.
type bar struct {
	label string
	ours  bool
	value stats.Summary
	note  string // behind the value
}

// The measures of a chart of bars, in units of its view box.
const (
	barsWidth  = 620
	barsLabel  = 222 // where the bars begin
	barsRoom   = 138 // for the value, behind the longest bar
	barsHeight = 30  // of a line
	barHeight  = 16
)

// bars draws a chart whose bars are the medians, with the range from the least
// to the most on each. All begin at zero.
func bars(title string, all []bar) string {
	most := 0.0
	for _, b := range all {
		most = max(most, b.value.Max)
	}
	x := func(v float64) float64 {
		if most == 0 {
			return barsLabel
		}
		return barsLabel + v/most*(barsWidth-barsLabel-barsRoom)
	}
	var s strings.Builder
	height := barsHeight*len(all) + 8
	fmt.Fprintf(&s, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, barsWidth, height, html.EscapeString(title))
	fmt.Fprintf(&s, `<line class="axis" x1="%d" y1="0" x2="%d" y2="%d"/>`, barsLabel, barsLabel, height)
	for i, b := range all {
		b.draw(&s, x, float64(barsHeight*i)+4+barsHeight/2)
	}
	s.WriteString(`</svg>`)
	return s.String()
}

// draw draws the bar around the height y.
func (b bar) draw(s *strings.Builder, x func(float64) float64, y float64) {
	class := "theirs"
	if b.ours {
		class = "ours"
	}
	fmt.Fprintf(s, `<g class="%s"><title>%s: %s</title>`, class, html.EscapeString(b.label), html.EscapeString(span(b.value)))
	fmt.Fprintf(s, `<text class="label" x="%d" y="%.1f">%s</text>`, barsLabel-10, y, html.EscapeString(b.label))
	fmt.Fprintf(s, `<rect x="%d" y="%.1f" width="%.1f" height="%d" rx="2"/>`, barsLabel, y-barHeight/2, max(x(b.value.Median)-barsLabel, 1.5), barHeight)
	if b.value.N > 1 {
		from, to := x(b.value.Min), x(b.value.Max)
		fmt.Fprintf(s, `<path class="range" d="M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8"/>`, from, y, to, from, y-4, to, y-4)
	}
	fmt.Fprintf(s, `<text class="value" x="%.1f" y="%.1f">%s<tspan class="note" dx="10">%s</tspan></text></g>`,
		x(b.value.Max)+9, y, html.EscapeString(duration(b.value.Median)), html.EscapeString(b.note))
}
