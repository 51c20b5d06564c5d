package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the report for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	m := r.Machine
	fmt.Fprintf(w, "muster beside others\n\n%s, %d of %d processors for each side, %s of memory, load %s\n%s, data on %s, %s\n%d nodes of muster, %d of them with the state, at %s\n%s\n\n",
		m.CPU, m.Cores, m.CPUs, Size(m.Memory), m.Load, m.System, m.Disk, m.Go, m.Nodes, m.Servers, r.Commit, r.Command)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(w, "  %s: %s\n", name, r.Versions[name])
	}
	for _, s := range r.Servers {
		fmt.Fprintf(w, "  %s\n", s)
	}
	for _, s := range r.Missing {
		fmt.Fprintf(w, "  left out: %s\n", s)
	}
	fmt.Fprintf(w, "\nFigures are medians, with the least and the most in brackets. Ratios are medians of those within a round.\n")
	for i := range r.Cells {
		if err := r.Cells[i].writeText(w); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cell) writeText(out io.Writer) error {
	fmt.Fprintf(out, "\n%s: %s\n", c.Kind, c.Title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  "+strings.Join(c.head(), "\t"))
	for i := range c.Rows {
		r := &c.Rows[i]
		if len(r.Samples) > 0 {
			fmt.Fprintln(w, "  "+strings.Join(append([]string{r.Side}, c.fields(r)...), "\t"))
		}
		if r.Error != "" {
			fmt.Fprintf(w, "  %s\t%s\n", r.Side, firstLine(r.Error))
		}
	}
	return w.Flush()
}

// head returns the names of the columns of a table, of which fields has those
// behind the first.
func (c *Cell) head() []string {
	names := []string{"side"}
	for _, m := range c.measures() {
		names = append(names, m.name)
	}
	if c.Unit == tasks && !c.hasLatencies() {
		names = append(names, "tasks/s")
	}
	names = append(names, "peak memory")
	for _, r := range c.Rows {
		if Ours(r.Side) && len(r.Samples) > 0 {
			names = append(names, "times "+r.Side)
		}
	}
	return names
}

func (c *Cell) fields(r *Row) (fields []string) {
	for _, m := range c.measures() {
		fields = append(fields, span(m.of(c, r)))
	}
	if rate := c.rate(r); rate != "" {
		fields = append(fields, rate)
	}
	fields = append(fields, Size(int64(r.PeakBytes.Median)))
	for _, to := range c.Rows {
		if Ours(to.Side) && len(to.Samples) > 0 {
			fields = append(fields, c.ratios(r, to.Side))
		}
	}
	return fields
}

// ratios returns how many times as much of each measure r took as one of
// muster's sides.
func (c *Cell) ratios(r *Row, to string) string {
	var all []string
	for _, ratio := range r.Ratios {
		if ratio.To == to {
			for _, m := range c.measures() {
				all = append(all, times(m.ratio(ratio)))
			}
		}
	}
	return strings.Join(all, ", ")
}
