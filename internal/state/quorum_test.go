package state

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// seatsOf makes seats of words such as "a:voter,self b:voter,dead=5m c:new=3s".
// A server is alive, answers, has all of the log and has been alive for an
// hour unless it is said otherwise.
func seatsOf(t *testing.T, text string) (seats []seat) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		id, marks, _ := strings.Cut(word, ":")
		s := seat{id: id, answers: true, alive: true, current: true, since: time.Hour}
		for _, mark := range strings.Split(marks, ",") {
			mark, value, timed := strings.Cut(mark, "=")
			switch mark {
			case "voter":
				s.voter = true
			case "self":
				s.voter, s.self = true, true
			case "dead":
				s.alive, s.answers, s.current = false, false, false
			case "silent":
				s.answers = false
			case "behind":
				s.current = false
			case "full":
				s.full = true
			case "new", "":
			default:
				t.Fatalf("mark %q", mark)
			}
			if timed {
				d, err := time.ParseDuration(value)
				must(t, err)
				s.since = d
			}
		}
		seats = append(seats, s)
	}
	return seats
}

var testRules = rules{stable: 10 * time.Second, replace: 10 * time.Minute, forget: 24 * time.Hour}

func TestServersChangeOneSafeStepAtATime(t *testing.T) {
	for _, c := range []struct {
		name   string
		seats  string
		others string
		voters int
		move   move
		id     string
	}{
		{"all is as it should be", "a:self b:voter c:voter", "", 3, moveNothing, ""},
		{"a new server gets the state", "a:self", "c b", 3, moveAdd, "b"},
		{"a new server gets the state though there are voters enough", "a:self", "b", 1, moveAdd, "b"},
		{"one more voter of two bears no loss", "a:self b:", "", 3, moveNothing, ""},
		{"two that stand ready get votes one after the other", "a:self b: c:", "", 3, movePromote, "b"},
		{"the second of two", "a:self b:voter c:", "", 3, movePromote, "c"},
		{"one that is new waits", "a:self b:voter c:new=9s", "", 3, moveNothing, ""},
		{"one that is behind waits", "a:self b:voter c:behind", "", 3, moveNothing, ""},
		{"one without room waits", "a:self b:voter c:full", "", 3, moveNothing, ""},
		{"one that does not answer waits", "a:self b:voter c:silent", "", 3, moveNothing, ""},
		{"four of five is passed through", "a:self b:voter c:voter d: e:", "", 5, movePromote, "d"},
		{"an even number is one too many", "a:self b:voter c:voter d:", "", 4, moveNothing, ""},
		{"none wanted is one", "a:self b:", "", 0, moveNothing, ""},

		{"a voter that is missing for a while keeps its vote", "a:self b:voter c:voter,dead=9m d:", "", 3, moveNothing, ""},
		{"and loses it to one that stands ready", "a:self b:voter c:voter,dead=10m d:", "", 3, moveRemove, "c"},
		{"but not without one", "a:self b:voter c:voter,dead=23h", "", 3, moveNothing, ""},
		{"nor to one that is behind", "a:self b:voter c:voter,dead=23h d:behind", "", 3, moveNothing, ""},
		{"until it is forgotten", "a:self b:voter c:voter,dead=24h", "", 3, moveRemove, "c"},
		{"the place is taken then", "a:self b:voter d:", "", 3, movePromote, "d"},
		{"the one missing for longest is first", "a:self b:voter c:voter d:voter,dead=25h e:voter,dead=26h", "", 5, moveRemove, "e"},
		{"nobody is removed without a majority", "a:self b:voter,dead=48h c:voter,dead=48h d: e:", "f", 3, moveNothing, ""},
		{"nor added", "a:self b:voter,dead=48h", "f", 3, moveNothing, ""},
		{"a silent voter that the pool sees is not missing", "a:self b:voter c:voter,silent=48h", "", 3, moveNothing, ""},
		{"but counts for no majority", "a:self b:voter,silent c:voter,silent d: e:", "", 5, moveNothing, ""},

		{"a voter too many loses its vote", "a:self b:voter c:voter", "", 1, moveDemote, "c"},
		{"the leader keeps its own", "a:voter b:voter c:self", "", 1, moveDemote, "b"},
		{"the missing one goes first", "a:self b:voter,dead=1s c:voter d:voter e:voter", "", 3, moveDemote, "b"},
		{"then the one that is behind", "a:self b:voter,behind c:voter d:voter e:voter", "", 3, moveDemote, "b"},
		{"then the full one", "a:self b:voter,full c:voter d:voter e:voter", "", 3, moveDemote, "b"},
		{"no vote is taken that is needed", "a:self b:voter c:voter,dead=1s d:voter,dead=1s e:voter", "", 3, moveDemote, "c"},

		{"one without a vote that is missing is removed", "a:self b:dead=11m", "", 1, moveRemove, "b"},
		{"but not at once", "a:self b:dead=1m", "", 1, moveNothing, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := testRules
			r.voters = c.voters
			got := r.next(seatsOf(t, c.seats), strings.Fields(c.others))
			if got.move != c.move || got.id != c.id {
				t.Errorf("got %v of %q (%s), want %v of %q", got.move, got.id, got.why, c.move, c.id)
			}
		})
	}
}

// Whatever the servers are like, a step leaves a majority that answers, does
// not touch the leader's vote, and steps come to an end.
func TestStepsAreSafeAndEnd(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		r := testRules
		r.voters = chance.IntN(7)
		seats := []seat{{id: "a", voter: true, self: true, answers: true, alive: true, current: true, since: time.Hour}}
		for i := range chance.IntN(7) {
			s := seat{
				id: string(rune('b' + i)), voter: chance.IntN(3) > 0, alive: chance.IntN(4) > 0, current: chance.IntN(4) > 0,
				full: chance.IntN(8) == 0, since: time.Duration(chance.IntN(48)) * time.Hour / time.Duration(1+chance.IntN(2000)),
			}
			s.answers = s.alive && chance.IntN(8) > 0
			seats = append(seats, s)
		}
		others := []string{"x", "y"}[:chance.IntN(3)]
		start := append([]seat{}, seats...)
		for steps := 0; ; steps++ {
			got := r.next(seats, others)
			if got.move == moveNothing {
				break
			}
			if steps > 30 {
				t.Fatalf("no end after %d steps from %+v", steps, start)
			}
			if got.id == "a" {
				t.Fatalf("the leader is touched: %+v of %+v", got, seats)
			}
			var next []seat
			for _, s := range seats {
				if s.id == got.id {
					s.voter = got.move == movePromote
					if got.move == moveRemove {
						continue
					}
				}
				next = append(next, s)
			}
			if got.move == moveAdd {
				next = append(next, seat{id: got.id, alive: true, answers: true, current: true})
				others = others[1:]
			}
			voters, answering := 0, 0
			for _, s := range next {
				if s.voter {
					voters++
					if s.answers {
						answering++
					}
				}
			}
			if 2*answering <= voters {
				t.Fatalf("%+v leaves %d of %d voters that answer: %+v", got, answering, voters, seats)
			}
			seats = next
		}
	}
}
