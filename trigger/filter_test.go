package trigger

import (
	"strings"
	"testing"
)

func TestAFilterDecidesOnAnEvent(t *testing.T) {
	a := Arrival{ID: "7", Name: "order.paid", Data: map[string]any{"amount": 120.0, "tags": []any{"new", "eu"}, "customer": map[string]any{"id": "c1"}}}
	for _, c := range []struct {
		text string
		want bool
	}{
		{"data.amount > 100", true},
		{"data.amount > 100 && data.customer.id == 'c2'", false},
		{"'eu' in data.tags", true},
		{"any(data.tags, # startsWith 'n')", true},
		{"data.missing == nil", true},
		{"(data?.nothing?.deeper ?? 5) == 5", true},
		{"name == 'order.paid' and id matches '^[0-9]+$'", true},
		{"len(data.tags) in 1..3", true},
	} {
		f, err := CompileFilter(c.text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := f.Match(a); err != nil || got != c.want {
			t.Errorf("%s: got %v, %v, want %v", c.text, got, err, c.want)
		}
	}
}

func TestAFilterIsBounded(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "want 1 to 2048"},
		{strings.Repeat("1+", 2000) + "1 > 0", "want 1 to 2048"},
		{strings.Repeat("1+", 500) + "1 > 0", "nodes"},
		{"amount > 100", "unknown name amount"},
		{"data.amount", ""},
		{"1 + 1", "expected bool"},
		{"data.amount >", "unexpected token"},
		{"now() > nil", "now"},
		{"all(data.a, any(data.b, true))", "2 loops"},
		{"len(map(data.a, filter(data.b, true))) > 0", "2 loops"},
		{"len(repeat('x', 1000000000)) > 0", "repeat"},
	} {
		f, err := CompileFilter(c.text)
		if c.want == "" { // known when it runs
			if _, err := f.Match(Arrival{Data: map[string]any{"amount": 5}}); err == nil {
				t.Errorf("%q: want an error", c.text)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "trigger: expression") {
			t.Errorf("%.40q: got error %v, want it to say %q", c.text, err, c.want)
		}
	}
	f, err := CompileFilter("len(1..data.n) > 0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Match(Arrival{Data: map[string]any{"n": 1_000_000_000}}); err == nil || !strings.Contains(err.Error(), "memory budget") {
		t.Errorf("a list of 10^9: got error %v, want it to say that the memory budget is exceeded", err)
	}
	if _, err := (Filter{}).Match(Arrival{}); err == nil {
		t.Error("the zero Filter matches")
	}
}
