package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/musterhq/muster/benchmarks/peers/stats"
)

// samples are those of a side that took each of seconds, in a round each.
func samples(seconds ...float64) (all []Sample) {
	for i, s := range seconds {
		all = append(all, Sample{Round: i, Seconds: s, CPUSeconds: 2 * s, PeakBytes: 1 << 20})
	}
	return all
}

func sample() *Report {
	r := &Report{
		Machine: Machine{CPU: "a <fast> one", CPUs: 4, Cores: 2, Memory: 1 << 30}, Command: "peers -only sort", Commit: "abc",
		Versions: map[string]string{"sort": "9.1"}, Servers: []string{"redis-server --save ''"}, Missing: []string{"DuckDB of sort: not there"},
		Cells: []Cell{
			{ID: "a", Kind: "sort", Title: "1 MiB & more", Unit: "records", Items: 100, Bytes: 1 << 20, Rows: []Row{
				{Side: "muster", Label: "muster", Samples: samples(1, 2, 10)},
				{Side: "other", Label: "the <other>", Samples: samples(3, 4, 25)},
				{Side: "broken", Label: "broken", Error: "it <broke>\nin many ways"},
			}},
			{ID: "b", Kind: "sort", Title: "4 MiB", Unit: "records", Items: 400, Bytes: 4 << 20, Rows: []Row{
				{Side: "muster", Label: "muster", Samples: samples(4, 5, 6)},
				{Side: "other", Label: "the <other>", Samples: samples(8)},
			}},
			{ID: "c", Kind: "tasks", Title: "1000 tasks", Unit: "tasks", Items: 1000, Rows: []Row{
				{Side: "muster-subtasks", Label: "subtasks", Samples: samples(0.001)},
				{Side: "muster-runs", Label: "runs", Samples: samples(0.1)},
				{Side: "river", Label: "River", Samples: samples(0.2)},
			}},
			{ID: "d", Kind: "latency", Title: "one", Unit: "tasks", Items: 10, Rows: []Row{
				{Side: "muster-run", Label: "run", Samples: []Sample{{P50: 2, P99: 10, Seconds: 1}}},
				{Side: "river", Label: "River", Samples: []Sample{{P50: 6, P99: 20, Seconds: 1}}},
			}},
		},
		Series: []Series{{Title: "by size", Kind: "sort", X: "bytes", At: []Point{{"a", 1 << 20, "1 MiB"}, {"b", 4 << 20, "4 MiB"}, {"gone", 8 << 20, "8 MiB"}}}},
	}
	for i := range r.Cells {
		r.Cells[i].Summarize()
	}
	return r
}

func TestRatiosAreThoseOfARound(t *testing.T) {
	r := sample()
	got := r.Cells[0].Rows[1].Ratios
	if len(got) != 1 || got[0].To != "muster" || got[0].Seconds != (stats.Summary{N: 3, Min: 2, Median: 2.5, Max: 3}) {
		t.Errorf("got %+v, want 3, 2 and 2.5 times muster", got)
	}
	if got := r.Cells[1].Rows[1].Ratios[0].CPUSeconds; got != (stats.Summary{N: 1, Min: 2, Median: 2, Max: 2}) {
		t.Errorf("got %+v, want that of the one round that both have", got)
	}
	if got := r.Cells[2].Rows[2].Ratios; len(got) != 2 || got[0].Seconds.Median != 200 || got[1].Seconds.Median != 2 {
		t.Errorf("got %+v, want 200 times subtasks and 2 times runs", got)
	}
	if got := r.Cells[3].Rows[1].Ratios[0]; got.P50.Median != 3 || got.P99.Median != 2 {
		t.Errorf("got %+v, want 3 times the median and 2 times the 99th percentile", got)
	}
	if got := r.Cells[0].Rows[2].Ratios; len(got) != 0 {
		t.Errorf("got %+v, want none of what was not measured", got)
	}
}

func TestTextHasWhatMatters(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 of 4 processors", "peers -only sort", "left out: DuckDB", "redis-server", "sort: 9.1", "1 MiB & more",
		"2.00 s [1.00 s, 10.0 s]", "2.50×", "it <broke>", "1,000,000", "200×, 200×", "2.00 ms", "3.00×, 2.00×",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got a text without %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "in many ways") {
		t.Error("got all of an error, want its first line")
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, not := range []string{"src=", "url(", "@import", "<link", "<script", "https:", "<other>", "<broke>", "<fast>"} {
		if strings.Contains(page, not) {
			t.Errorf("got a page with %q", not)
		}
	}
	for _, want := range []string{"the &lt;other&gt;", "prefers-color-scheme: dark", "by size", "4 MiB", "a &lt;fast&gt; one"} {
		if !strings.Contains(page, want) {
			t.Errorf("got a page without %q", want)
		}
	}
	if n := strings.Count(page, "<svg"); n != 10 {
		t.Errorf("got %d charts, want two for each of 4 cells and one series", n)
	}
	for rest := page; ; {
		_, after, ok := strings.Cut(rest, "<svg")
		if !ok {
			break
		}
		svg, after, _ := strings.Cut(after, "</svg>")
		wellFormed(t, "<svg"+svg+"</svg>")
		rest = after
	}
}

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
	for _, not := range []string{"NaN", "Inf"} {
		if strings.Contains(svg, not) {
			t.Errorf("got %s in %s", not, svg)
		}
	}
}

func TestJSONComesBackAsItWas(t *testing.T) {
	r := sample()
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	var x, y bytes.Buffer
	if err := errors.Join(r.WriteText(&x), back.WriteText(&y)); err != nil || x.String() != y.String() {
		t.Errorf("got %v, and another text", err)
	}
}

func TestReportOfNothingIsNone(t *testing.T) {
	var b bytes.Buffer
	r := Report{Cells: []Cell{{ID: "a", Kind: "sort", Rows: []Row{{Side: "muster", Error: "broken"}}}, {ID: "b", Kind: "tasks"}}}
	if err := errors.Join(r.WriteText(&b), r.WriteHTML(&b), r.WriteJSON(&b)); err != nil {
		t.Error(err)
	}
	wellFormed(t, bars("", nil))
	wellFormed(t, bars("", []bar{{label: "a"}}))
	if got := plot("", "", nil, nil); got != "" {
		t.Errorf("got %q, want no plot of nothing", got)
	}
}

func TestHeadlineIsWhatMostDid(t *testing.T) {
	some := func(n int, items int64) Cell {
		c := Cell{Items: items}
		for range n {
			c.Rows = append(c.Rows, Row{Samples: samples(1)})
		}
		c.Rows = append(c.Rows, Row{})
		return c
	}
	if got := headline([]Cell{some(2, 10), some(3, 100), some(3, 1000), some(3, 1000), some(1, 100_000)}); got != 2 {
		t.Errorf("got cell %d, want 2", got)
	}
}

func TestFiguresHaveThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.01234: "0.012", 0.9996: "1.00", 1.234: "1.23", 9.996: "10.0", 12.34: "12.3", 99.96: "100", 123.4: "123", 999.6: "1,000", 1234567: "1,234,567",
	} {
		if got := figure(v); got != want {
			t.Errorf("got %s of %v, want %s", got, v, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 2e-9: "2.00 ns", 1.5e-6: "1.50 µs", 0.0123: "12.3 ms", 0.99996: "1.00 s", 90: "90.0 s"} {
		if got := duration(v); got != want {
			t.Errorf("got %s of %v s, want %s", got, v, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 100 << 20: "100 MiB", 1 << 30: "1 GiB"} {
		if got := Size(n); got != want {
			t.Errorf("got %s of %d, want %s", got, n, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", -123: "-123"} {
		if got := Count(n); got != want {
			t.Errorf("got %s of %d, want %s", got, n, want)
		}
	}
}

func TestAxisHasRoundNumbers(t *testing.T) {
	for _, c := range []struct{ least, most float64 }{{1e-6, 1e-3}, {0.3, 0.9}, {0.02, 500}} {
		got := decades(c.least, c.most)
		if len(got) < 2 || got[0] < c.least || got[len(got)-1] > c.most {
			t.Errorf("got %v, want some from %v to %v", got, c.least, c.most)
		}
	}
	for v, want := range map[float64]string{1e-3: "1 ms", 2e-5: "20 µs", 0.1: "100 ms", 10: "10 s", 1000: "1,000 s"} {
		if got := round(v); got != want {
			t.Errorf("got %s of %v, want %s", got, v, want)
		}
	}
}
