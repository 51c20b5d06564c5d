package trigger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A tale is what happens to an event trigger, second by second: an event and
// its customer, as in "3 a c1", or the time alone; and what follows.
func TestEventsMakeRunsByTheirRules(t *testing.T) {
	for _, c := range []struct{ text, tale string }{
		{"event e", `
			0 a c1 > fire 1 [a]
			0 b c1 > fire 1 [b]`},
		{`event e where "data.c == 'c1'"`, `
			0 a c1 > fire 1 [a]
			0 b c2 > filter`},
		{"event e dedupe(id, 10s)", `
			0 a c1 > fire 1 [a]
			5 a c1 > duplicate
			5 b c1 > fire 1 [b]
			10 a c1 > fire 1 [a]`},
		{"event e throttle(data.c, 2/10s)", `
			0 a c1 > fire 1 [a]
			1 b c1 > fire 1 [b]
			2 c c1 > throttled
			2 d c2 > fire 1 [d]
			9 e c1 > throttled
			10 f c1 > fire 1 [f]`},
		{"event e debounce(data.c, 5s, 12s)", `
			0 a c1 > wake 5
			3 b c1 > wake 8
			4 x c2 > wake 8
			7 c c1 > wake 9
			9 > fire c2 1 [x], wake 12
			11 d c1 > wake 12
			12 > fire c1 4 [d]
			13 e c1 > wake 18
			30 > fire c1 1 [e]`},
		{"event e batch(3, 10s)", `
			0 a c1 > wake 10
			1 b c2 > wake 10
			2 c c3 > fire 3 [a b c]
			3 d c1 > wake 13
			4 e c1 > wake 13
			12 > wake 13
			14 > fire 2 [d e]`},
		{"event e dedupe(id, 1m) throttle('all', 3/1m) batch(2, 10s)", `
			0 a c1 > wake 10
			1 a c1 > duplicate, wake 10
			2 b c1 > fire 2 [a b]
			3 c c1 > wake 13
			4 d c1 > throttled, wake 13
			13 > fire 1 [c]`},
		{"event other", `
			0 a c1 > name`},
	} {
		e := mustParse(t, c.text).(Event)
		var s EventState
		for line := range strings.SplitSeq(strings.TrimSpace(c.tale), "\n") {
			did, want, _ := strings.Cut(strings.TrimSpace(line), " > ")
			var second int
			var id, customer string
			n, _ := fmt.Sscan(did, &second, &id, &customer)
			var a *Arrival
			if n == 3 {
				a = &Arrival{ID: id, Seq: uint64(id[0]), Name: "e", Data: map[string]any{"c": customer}}
			}
			zero := at(t, "2026-01-01")
			out, err := e.Step(&s, a, zero.Add(time.Duration(second)*time.Second))
			if err != nil {
				t.Fatalf("%s: %s: %v", c.text, did, err)
			}
			var got []string
			if out.Refused != "" {
				got = append(got, string(out.Refused))
			}
			for _, f := range out.Fires {
				key := f.Key
				if key != "" {
					key += " "
				}
				var ids []string
				for _, seq := range f.Seqs {
					ids = append(ids, string(rune(seq)))
				}
				got = append(got, fmt.Sprintf("fire %s%d %v", key, f.Count, ids))
			}
			if !out.Wake.IsZero() {
				got = append(got, fmt.Sprintf("wake %d", out.Wake.Sub(zero)/time.Second))
			}
			if text := strings.Join(got, ", "); text != want {
				t.Fatalf("%s: %s: got %q, want %q", c.text, did, text, want)
			}
		}
	}
}

func TestAnEventThatExpressionsFailOnIsRefusedWithAnError(t *testing.T) {
	for _, text := range []string{`event e where "data.n > 1"`, "event e dedupe(data.n + 1, 1m)", "event e throttle(data.n + 1, 1/1m)", "event e debounce(data.n + 1, 1s, 1s)"} {
		e := mustParse(t, text).(Event)
		var s EventState
		out, err := e.Step(&s, &Arrival{ID: "a", Name: "e", Data: map[string]any{"n": "x"}}, at(t, "2026-01-01"))
		if err == nil || out.Refused != RefusedFilter || len(out.Fires) != 0 || !strings.HasPrefix(err.Error(), "trigger: ") {
			t.Errorf("%s: got %+v, %v, want it refused with an error", text, out, err)
		}
	}
}

func TestWhatEventsRememberIsBounded(t *testing.T) {
	e := mustParse(t, "event e dedupe(id, 1h) throttle(id, 1/1h) debounce(id, 1h, 2h)").(Event)
	var s EventState
	fired := 0
	now := at(t, "2026-01-01")
	// Looking for what is due takes as long as there are keys.
	saved := s.Waiting
	for i := range maxKeys + 50 {
		a := &Arrival{ID: fmt.Sprintf("%05d", i), Name: "e"}
		if refused, err := e.admit(&s, a, now); refused != "" || err != nil {
			t.Fatal(refused, err)
		}
		var out EventOutcome
		if err := e.gather(&s, a, now, &out); err != nil {
			t.Fatal(err)
		}
		fired += len(out.Fires)
		now = now.Add(time.Millisecond)
	}
	if saved != nil || len(s.Seen) != maxKeys || len(s.Windows) != maxKeys || len(s.Waiting) != maxKeys || fired != 50 {
		t.Errorf("got %d, %d and %d keys and %d fires, want %d keys and 50 fires", len(s.Seen), len(s.Windows), len(s.Waiting), fired, maxKeys)
	}
	if _, there := s.Seen["00049"]; there {
		t.Error("the oldest is remembered and not the newest")
	}
}

func TestADependencyIsDueWhenItsRunsAre(t *testing.T) {
	for _, c := range []struct{ text, tale string }{
		// A run: its job, nominal hour, outcome, and the hour when it ended.
		{"upstream load", `
			load 1 success 2 > 01 load
			load 1 success 2 >
			load 1 success 3 >
			load 2 failure 3 >
			load 2 success 4 > 02 load
			other 3 success 4 >`},
		{"upstream all of a, b on success", `
			a 1 success 1 >
			a 2 success 2 >
			b 2 success 3 > 02 a b
			b 1 failure 3 >
			b 1 success 4 > 01 a b`},
		{"upstream all of a, b on success", `
			a 1 success 1 >
			a 1 failure 2 >
			b 1 success 3 >
			a 1 success 4 > 01 a b`},
		{"upstream any of a, b on failure", `
			a 1 success 1 >
			b 1 failure 1 > 01 b
			a 1 failure 2 >`},
		{"upstream 2 of a, b, c on done", `
			a 1 failure 1 >
			b 1 partial 1 > 01 a b
			c 1 success 2 >`},
		{"upstream all of a, b retrigger", `
			a 1 success 1 >
			b 1 success 1 > 01 a b
			a 1 success 2 > 01 a b again`},
		{"upstream all of a, b by latest within 2h", `
			a 1 success 1 >
			b 1 success 4 >
			a 2 success 5 > 02 a b
			a 3 success 6 >
			b 3 success 6 > 03 a b
			a 4 success 7 >
			a 4 failure 7 >
			b 4 success 7 >`},
		{"upstream all of a, b by partition", `
			a 1 success 1 > 
			b 2 success 2 > 02 a b`},
	} {
		d := mustParse(t, c.text).(Dependency)
		var s DependencyState
		zero := at(t, "2026-01-01")
		for line := range strings.SplitSeq(strings.TrimSpace(c.tale), "\n") {
			did, want, _ := strings.Cut(strings.TrimSpace(line), " >")
			var job, outcome string
			var nominal, ended int
			if _, err := fmt.Sscan(did, &job, &nominal, &outcome, &ended); err != nil {
				t.Fatal(err)
			}
			fire := d.Step(&s, Ended{
				Job: job, Run: fmt.Sprintf("%s@%d", job, nominal), Outcome: Outcome(outcome), Partition: "de",
				Nominal: zero.Add(time.Duration(nominal) * time.Hour), At: zero.Add(time.Duration(ended) * time.Hour),
			})
			got := ""
			if fire != nil {
				jobs := []string{}
				for job := range fire.Runs {
					jobs = append(jobs, job)
				}
				slices.Sort(jobs)
				got = fire.Nominal.Format("15 ") + strings.Join(jobs, " ")
				if fire.Again {
					got += " again"
				}
			}
			if got != strings.TrimSpace(want) {
				t.Fatalf("%s: %s: got %q, want %q", c.text, did, got, want)
			}
		}
	}
}

func TestWhatADependencyRemembersIsBounded(t *testing.T) {
	d := mustParse(t, "upstream all of a, b").(Dependency)
	var s DependencyState
	for i := range maxGroups + 10 {
		when := at(t, "2026-01-01").Add(time.Duration(i) * time.Hour)
		d.Step(&s, Ended{Job: "a", Run: "r", Nominal: when, At: when, Outcome: OutcomeSuccess})
	}
	if len(s.Groups) != maxGroups {
		t.Errorf("got %d groups, want %d", len(s.Groups), maxGroups)
	}
	d = mustParse(t, "upstream all of a, b by partition").(Dependency)
	if d.Step(&s, Ended{Job: "a", Run: "r", Outcome: OutcomeSuccess}) != nil {
		t.Error("a run without a partition completes one")
	}
}

func TestALifecycleIsDueByItsScope(t *testing.T) {
	for _, c := range []struct{ text, tale string }{
		// What happens: second, happening, node, incarnation.
		{"lifecycle join each", `
			0 join n1 1 > n1
			0 join n2 1 > n2
			1 leave n1 1 >
			2 join n1 1 > n1
			2 start n1 1 >`},
		{"lifecycle join incarnation", `
			0 join n1 0 > n1
			1 leave n1 0 >
			2 join n1 0 >
			3 join n1 1 > n1`},
		{"lifecycle leader cluster", `
			0 leader n1 1 > n1
			1 leader n2 1 >`},
		{"lifecycle leave each debounce 30s", `
			0 leave n1 1 > wake 30
			10 join n1 1 >
			20 leave n1 1 > wake 50
			40 leave n2 1 > wake 50
			50 > n1 wake 70
			80 > n2`},
		{"lifecycle join cluster debounce 10s", `
			0 join n1 1 > wake 10
			1 join n2 1 > wake 10
			20 > n1`},
	} {
		l := mustParse(t, c.text).(Lifecycle)
		var s LifecycleState
		zero := at(t, "2026-01-01")
		for line := range strings.SplitSeq(strings.TrimSpace(c.tale), "\n") {
			did, want, _ := strings.Cut(strings.TrimSpace(line), " >")
			var second int
			var what, node string
			var incarnation uint64
			n, _ := fmt.Sscan(did, &second, &what, &node, &incarnation)
			var h *Happened
			if n == 4 {
				h = &Happened{What: Happening(what), Node: node, Incarnation: incarnation}
			}
			fires, wake := l.Step(&s, h, zero.Add(time.Duration(second)*time.Second))
			var got []string
			for _, f := range fires {
				got = append(got, f.Node)
			}
			if !wake.IsZero() {
				got = append(got, fmt.Sprintf("wake %d", wake.Sub(zero)/time.Second))
			}
			if text := strings.Join(got, " "); text != strings.TrimSpace(want) {
				t.Fatalf("%s: %s: got %q, want %q", c.text, did, text, want)
			}
		}
	}
}

func TestBadDeclarationsAreRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"event", `event "": want a name`},
		{"event a,b", "without spaces, commas"},
		{"event e where data.x", "want the expression in quotes"},
		{`event e where "data."`, `event e: expression "data."`},
		{"event e dedupe(id)", "want dedupe(key, ttl)"},
		{"event e dedupe(id, 0s)", "want a time above 0"},
		{"event e dedupe(id, 1h", "want a closing bracket"},
		{"event e dedupe id", "in brackets"},
		{"event e dedupe(id, 1h) dedupe(id, 1h)", "want it once"},
		{"event e throttle(id, 10)", "want a number and a time"},
		{"event e throttle(id, 0/1m)", "want a number and a time"},
		{"event e debounce(id, 1m, 5s)", "at least the quiet time"},
		{"event e debounce(id, 5s, 1m) batch(3, 5s)", "debounce or batch, not both"},
		{"event e batch(0, 5s)", "from 1 to 10000"},
		{"event e sort(3, 5s)", `"sort"`},
		{"event e ttl never", "want a duration"},
		{"upstream", `upstream "": want a name`},
		{"upstream some of a, b", "want all, any, or how many"},
		{"upstream 3 of a, b", "want a number from 1 to 2"},
		{"upstream all of a, a", "want each job once"},
		{"upstream a on victory", "want success, failure, partial or done"},
		{"upstream a by luck", "want nominal, partition or latest"},
		{"upstream a by latest", "at least 1s"},
		{"upstream a by nominal within 2h", "by latest only"},
		{"upstream a on success now", "want nothing more"},
		{"workflow", "want the trigger that starts it"},
		{"workflow w on 0 0 31 2 *", "never due"},
		{"workflow w on workflow v on manual", "of another mode"},
		{"workflow w on TZ=UTC workflow v on @daily", "of another mode"},
		{"TZ=Europe/Berlin workflow w on manual", "no local times"},
		{"lifecycle", "want start, join, leave, leader or form"},
		{"lifecycle birth", "want start, join"},
		{"lifecycle join twice", "want each, incarnation or cluster"},
		{"lifecycle join each debounce 48h", "at most 24h"},
		{"lifecycle join each now", "want nothing more"},
	} {
		_, err := Parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "trigger: ") {
			t.Errorf("%q: got error %v, want it to say %q", c.text, err, c.want)
		}
	}
}
