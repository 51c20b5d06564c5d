package report

import "github.com/musterhq/muster/benchmarks/peers/stats"

// A measure is what a cell is looked at by. Less of it is better, whatever it
// is, and all of it is in seconds.
type measure struct {
	name  string
	of    func(c *Cell, r *Row) stats.Summary
	ratio func(r Ratio) stats.Summary
}

var (
	wall = measure{
		"wall time",
		func(_ *Cell, r *Row) stats.Summary { return r.Seconds }, func(r Ratio) stats.Summary { return r.Seconds },
	}
	processor = measure{
		"processor time",
		func(_ *Cell, r *Row) stats.Summary { return r.CPUSeconds }, func(r Ratio) stats.Summary { return r.CPUSeconds },
	}
	median = measure{
		"median latency",
		func(_ *Cell, r *Row) stats.Summary { return scaled(r.P50, 1e-3) }, func(r Ratio) stats.Summary { return r.P50 },
	}
	tail = measure{
		"99th percentile of latency",
		func(_ *Cell, r *Row) stats.Summary { return scaled(r.P99, 1e-3) }, func(r Ratio) stats.Summary { return r.P99 },
	}
)

// tasks is the Unit of cells whose cost is told by task.
const tasks = "tasks"

// measures returns what the cell is looked at by, in the order of interest.
func (c *Cell) measures() []measure {
	switch {
	case c.hasLatencies():
		return []measure{median, tail}
	case c.Unit == tasks:
		return []measure{wall.each(), processor.each()}
	}
	return []measure{processor, wall}
}

func (c *Cell) hasLatencies() bool {
	for i := range c.Rows {
		if c.Rows[i].latencies() {
			return true
		}
	}
	return false
}

// each returns the measure by task or, if it is not tasks that were done, by
// MiB.
func (m measure) each() measure {
	return measure{m.name + " per task", func(c *Cell, r *Row) stats.Summary {
		if c.Unit == tasks {
			return scaled(m.of(c, r), 1/float64(max(c.Items, 1)))
		}
		return scaled(m.of(c, r), float64(1<<20)/float64(max(c.Bytes, 1)))
	}, m.ratio}
}

func scaled(s stats.Summary, by float64) stats.Summary {
	return stats.Summary{N: s.N, Min: s.Min * by, Median: s.Median * by, Max: s.Max * by}
}

// rate is how many tasks a second the median is, and nothing where that is not
// what it is about.
func (c *Cell) rate(r *Row) string {
	if c.Unit != tasks || c.hasLatencies() || r.Seconds.Median == 0 {
		return ""
	}
	return figure(float64(c.Items) / r.Seconds.Median)
}
