package sharding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Constraint says which members may work on a run. The zero value is all that
// have slots.
type Constraint struct {
	// Names are the names or IDs of the only members that may work. Empty
	// means all.
	Names []string
	// Tags are tags that a member must all have.
	Tags []string
	// MinCPU is the least number of cores. Zero means any.
	MinCPU int
	// MinMemory and MinDisk are the least free bytes. Zero means any.
	MinMemory, MinDisk int64
	// MaxWorkers bounds how many members work on the run. Zero means no bound.
	MaxWorkers int
	// Key makes the choice under MaxWorkers differ from run to run, so that
	// narrow runs do not all meet on the same members. It is usually the run's
	// ID; the same key always chooses the same members.
	Key string
}

// A Refusal is why one member may not work.
type Refusal struct {
	// Member is the member's ID.
	Member string
	// Reason is what the member does wrong, as a sentence whose subject is
	// left out: "lacks tag gpu".
	Reason string
}

// Reasons that do not depend on the constraint.
const (
	// NoSlots is why a member that executes nothing is refused.
	NoSlots = "has no slots"
	// NoFreeSlots is for members that Eligible accepts and that have no room
	// at the moment, which only the one who counts their credit knows.
	NoFreeSlots = "has 0 free slots"
)

// Eligible returns which of members may work under c, in the order given, and
// for each of the others the first reason why it may not. Whether a member is
// busy plays no part, so that the choice is stable while the run goes on: if
// a chosen member leaves, one other takes its place and the rest stay.
func Eligible(c Constraint, members []Member) (ok []Member, refused []Refusal) {
	for i := range members {
		if reason := c.refuses(&members[i]); reason != "" {
			refused = append(refused, Refusal{members[i].ID, reason})
			continue
		}
		ok = append(ok, members[i])
	}
	if c.MaxWorkers <= 0 || len(ok) <= c.MaxWorkers {
		return ok, refused
	}
	chosen := map[string]bool{}
	for _, m := range Rank(c.Key, ok)[:c.MaxWorkers] {
		chosen[m.ID] = true
	}
	reason := fmt.Sprintf("is beyond the most workers of the run, %d", c.MaxWorkers)
	ok = slices.DeleteFunc(ok, func(m Member) bool {
		if !chosen[m.ID] {
			refused = append(refused, Refusal{m.ID, reason})
		}
		return !chosen[m.ID]
	})
	return ok, refused
}

// refuses returns why m may not work, or nothing.
func (c *Constraint) refuses(m *Member) string {
	if len(c.Names) > 0 && !slices.Contains(c.Names, m.Name) && !slices.Contains(c.Names, m.ID) {
		return "is not named " + strings.Join(c.Names, " or ")
	}
	if m.Slots <= 0 {
		return NoSlots
	}
	for _, tag := range c.Tags {
		if !slices.Contains(m.Tags, tag) {
			return "lacks tag " + tag
		}
	}
	switch {
	case m.CPU < c.MinCPU:
		return fmt.Sprintf("has fewer than %d cores", c.MinCPU)
	case m.Memory < c.MinMemory:
		return "has less than " + size(c.MinMemory) + " of free memory"
	case m.Disk < c.MinDisk:
		return "has less than " + size(c.MinDisk) + " of free disk"
	}
	return ""
}

// size writes a number of bytes in the largest unit that divides it, so that
// what a user wrote is what a user reads.
func size(n int64) string {
	for i, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if shift := 40 - 10*i; n>>shift<<shift == n && n > 0 {
			return fmt.Sprintf("%d %s", n>>shift, unit)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// Explain sums up why no member may work, the most frequent reason first:
// "no worker: 3 lack tag gpu, 1 has 0 free slots".
func Explain(refused []Refusal) string {
	if len(refused) == 0 {
		return "no worker: the pool has no members"
	}
	count := map[string]int{}
	for _, r := range refused {
		count[r.Reason]++
	}
	reasons := make([]string, 0, len(count))
	for reason := range count {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), strings.Compare(a, b))
	})
	for i, reason := range reasons {
		reasons[i] = fmt.Sprintf("%d %s", count[reason], inNumber(count[reason], reason))
	}
	return "no worker: " + strings.Join(reasons, ", ")
}

// inNumber puts the verb that reason begins with into the plural for n > 1.
func inNumber(n int, reason string) string {
	verb, rest, _ := strings.Cut(reason, " ")
	if n > 1 {
		switch verb {
		case "has":
			verb = "have"
		case "is":
			verb = "are"
		case "does":
			verb = "do"
		default:
			verb = strings.TrimSuffix(verb, "s")
		}
	}
	return strings.TrimSpace(verb + " " + rest)
}
