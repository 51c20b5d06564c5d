package report

import (
	_ "embed" // the page
	"html/template"
	"io"
	"maps"
	"slices"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"size": Size}).Parse(page))

// view is what the page shows.
type view struct {
	*Report
	Names    []string // of Versions
	Sections []section
}

// section is what the page has of one kind of work.
type section struct {
	Kind, Name, About string
	Headline          picture // the largest piece of work that most sides did
	Others            []picture
	Plots             []plots
	How               []Row
}

// picture is one cell: its charts, and all its figures in a table.
type picture struct {
	Title  string
	Charts []chart
	Head   []string
	Rows   []tableRow
}

type chart struct {
	Name string
	SVG  template.HTML
}

type tableRow struct {
	Ours  bool
	Label string
	Cells []string
	Error string
}

type plots struct {
	Title  string
	Charts []chart
	Legend []legend
}

type legend struct {
	Label string
	Color int
	Ours  bool
}

// kinds are the kinds of work in the order of the page, with what a reader has
// to know of each.
var kinds = []section{
	{Kind: "tasks", Name: "Durable no-op tasks", About: "Tasks are submitted, executed and their outcomes recorded, from the first submission until the last record. They do nothing, so what is left is what a task costs."},
	{Kind: "latency", Name: "One task on an idle system", About: "Tasks go one at a time, with pauses in between. For muster the time ends when the submitter has the result, which is recorded by then; for asynq and River when the worker is called, unless said otherwise."},
	{Kind: "wordcount", Name: "Word count", About: "Text of 200,000 different words by Zipf’s law, from files to files."},
	{Kind: "sort", Name: "Sort", About: "Records of 100 bytes with random keys of 10, from files to files in order."},
	{Kind: "groupby", Name: "Group by", About: "Rows of a key and a number, from files to files with the sum of each key."},
}

// WriteHTML writes the page. It needs no other file, and no network.
func (r *Report) WriteHTML(w io.Writer) error {
	v := view{Report: r, Names: slices.Sorted(maps.Keys(r.Versions))}
	for _, s := range kinds {
		if r.fill(&s) {
			v.Sections = append(v.Sections, s)
		}
	}
	return pageTemplate.Execute(w, v)
}

// fill puts into the section what the report has of its kind, if it has
// something.
func (r *Report) fill(s *section) bool {
	var cells []Cell
	for _, c := range r.Cells {
		if c.Kind == s.Kind && c.done() > 0 {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return false
	}
	head := headline(cells)
	for i := range cells {
		if i == head {
			s.Headline, s.How = cells[i].picture(), cells[i].Rows
		} else {
			s.Others = append(s.Others, cells[i].picture())
		}
	}
	colors := colorsOf(cells)
	for _, series := range r.Series {
		if p, ok := r.plots(series, colors); ok && series.Kind == s.Kind {
			s.Plots = append(s.Plots, p)
		}
	}
	return true
}

// done is how many sides have done it at least once.
func (c *Cell) done() (n int) {
	for _, r := range c.Rows {
		n += min(len(r.Samples), 1)
	}
	return n
}

// headline returns the index of the cell that says most: of those that most
// sides did, the first with the most items.
func headline(cells []Cell) int {
	best := 0
	for i := range cells {
		c, b := &cells[i], &cells[best]
		if slices.Compare([]int64{int64(c.done()), c.Items}, []int64{int64(b.done()), b.Items}) > 0 {
			best = i
		}
	}
	return best
}

// picture draws the cell.
func (c *Cell) picture() picture {
	p := picture{Title: c.Title, Head: c.head()}
	for _, m := range c.measures() {
		p.Charts = append(p.Charts, chart{m.name, template.HTML(c.bars(m))}) // all text in it is escaped
	}
	for i := range c.Rows {
		r := &c.Rows[i]
		row := tableRow{Ours: Ours(r.Side), Label: r.Label, Error: firstLine(r.Error)}
		if len(r.Samples) > 0 {
			row.Cells = c.fields(r)
		}
		p.Rows = append(p.Rows, row)
	}
	return p
}

// bars draws the cell by one measure. Ratios are to the first of muster's
// sides.
func (c *Cell) bars(m measure) string {
	var all []bar
	for i := range c.Rows {
		r := &c.Rows[i]
		if len(r.Samples) == 0 {
			continue
		}
		b := bar{label: r.Label, ours: Ours(r.Side), value: m.of(c, r)}
		if len(r.Ratios) > 0 {
			b.note = times(m.ratio(r.Ratios[0]))
		}
		if len(all) == 0 {
			b.note = "" // what the others are compared with
		}
		all = append(all, b)
	}
	return bars(c.Title+": "+m.name, all)
}

// colorsOf gives each side its colour, the same in all plots of a kind: the
// first ones are for muster's.
func colorsOf(cells []Cell) (sides []string) {
	const kept = 2
	theirs := []string{}
	for _, c := range cells {
		for _, r := range c.Rows {
			if Ours(r.Side) && !slices.Contains(sides, r.Side) {
				sides = append(sides, r.Side)
			} else if !Ours(r.Side) && !slices.Contains(theirs, r.Side) {
				theirs = append(theirs, r.Side)
			}
		}
	}
	for len(sides) < kept {
		sides = append(sides, "")
	}
	return append(sides, theirs...)
}

// plots draws a series by each of its measures.
func (r *Report) plots(series Series, sides []string) (p plots, ok bool) {
	p.Title = series.Title
	var cells []Cell
	var ticks []Point
	for _, at := range series.At {
		if c, ok := r.Find(at.Cell); ok {
			cells, ticks = append(cells, c), append(ticks, at)
		}
	}
	if len(cells) < 2 {
		return p, false
	}
	for _, m := range []measure{processor, wall} {
		curves := curvesOf(cells, ticks, sides, m.each())
		p.Charts = append(p.Charts, chart{m.name, template.HTML(plot(series.Title+": "+m.name, series.X, curves, ticks))}) // all text in it is escaped
		p.Legend = nil
		for _, c := range curves {
			p.Legend = append(p.Legend, legend{c.label, c.color, c.ours})
		}
	}
	return p, true
}

func curvesOf(cells []Cell, ticks []Point, sides []string, m measure) (curves []curve) {
	for color, side := range sides {
		c := curve{color: color, ours: Ours(side)}
		for i := range cells {
			for k := range cells[i].Rows {
				if row := &cells[i].Rows[k]; row.Side == side && len(row.Samples) > 0 {
					c.label = row.Label
					c.at = append(c.at, mark{ticks[i].X, m.of(&cells[i], row)})
				}
			}
		}
		if len(c.at) > 0 {
			curves = append(curves, c)
		}
	}
	return curves
}
