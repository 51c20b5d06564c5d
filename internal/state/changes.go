package state

import (
	"fmt"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// What commands change of runs, jobs and operations is told to the feed of this
// server, once it is there to be read. It is no part of the state: a server that
// starts has told of nothing yet.

// aboutReason bounds why something changed, in a change.
const aboutReason = 256

// show notes that the command that is carried out changed something.
func (tx *change) show(c job.Change) { tx.showIn(c, 0) }

// showIn is show for a change of a run within the lot that c names.
func (tx *change) showIn(c job.Change, inLot int) {
	tx.now.part++
	c.At, c.Reason = tx.when, strings.Clone(cut(c.Reason, aboutReason))
	tx.news = append(tx.news, shown{tx.now, c, inLot})
}

// showRun notes what became of a run whose status is going to be st, or nil if
// there is to be none.
func (tx *change) showRun(id job.RunID, st *wire.RunStatus) {
	old, err := tx.status(id)
	if err != nil || isLot(old) || isLot(st) {
		return // whoever changes it has read it, or found out
	}
	c := job.Change{Of: job.RunChanged, Run: id}
	was, is := old != nil && !old.Staged, st != nil && !st.Staged
	switch {
	case !was && !is:
		return
	case !is:
		c.What, st = job.RunRemoved, old
	case !was:
		c.What = job.RunCreated
	case old.State == st.State:
		return
	case st.State.Done():
		c.What = job.RunEnded
	default:
		c.What = job.RunBegun
	}
	c.Namespace, c.Job, c.State, c.Reason = st.Namespace, st.Job, st.State.String(), st.Reason
	if tx.early(st) {
		c.State = job.Pending.String()
	}
	tx.show(c)
}

// showJob notes what became of a job.
func (tx *change) showJob(j jobName, what, reason string, revision uint64) {
	tx.show(job.Change{Of: job.JobChanged, What: what, Namespace: j.namespace, Job: j.name, Reason: reason, Revision: revision})
}

// showOperation notes what became of an operation.
func (tx *change) showOperation(namespace, id string, st *wire.OperationStatus) {
	c := job.Change{
		Of: job.OperationChanged, What: job.OperationAdvanced, Namespace: namespace, Operation: id, State: string(st.State), Reason: st.Reason,
		Done: int(st.Done), Refused: int(st.Refused),
	}
	switch {
	case st.State.Over():
		c.What = job.OperationEnded
	case st.Step == 0:
		c.What = job.OperationBegun
	}
	tx.show(c)
}

// Changes returns what has changed behind a place, as this server knows it.
// If there is nothing yet, more is closed once there may be; it is nil if there
// may be more already. What is too long ago, or of another cluster, is not
// known any more, as the page says then. It waits for nothing.
func (s *State) Changes(q job.ChangeQuery) (page job.ChangePage, more <-chan struct{}, err error) {
	if s.isClosing() {
		return page, nil, ErrClosed
	}
	limit := min(max(q.Limit, 0), maxChanges)
	if limit == 0 {
		limit = 100
	}
	cluster := s.Cluster()
	if cluster == "" { // a place of it would be that of another cluster in a moment
		return page, nil, fmt.Errorf("%w: this server does not know yet which cluster it is part of", ErrUnavailable)
	}
	after, known := placeIn(cluster, q.After)
	var found []shown
	to := s.hub.feed.now()
	if known {
		found, to, more, known = s.hub.feed.look(&q, after, limit)
	}
	page.Next, page.Reset = to.in(cluster), !known
	for i := range found {
		c := found[i].Change
		c.Place = found[i].in(cluster)
		page.Changes = append(page.Changes, c)
	}
	return page, more, nil
}

// maxChanges bounds the changes of a page.
const maxChanges = 1000

// in returns a place as a text, which is no other cluster's.
func (p place) in(cluster string) string {
	return fmt.Sprintf("%s-%d-%d-%d", cluster, p.index, p.command, p.part)
}

// placeIn returns the place that in made a text of, if it did for this cluster.
func placeIn(cluster, text string) (p place, ok bool) {
	rest, ok := strings.CutPrefix(text, cluster+"-")
	if !ok {
		return p, false
	}
	_, err := fmt.Sscanf(rest, "%d-%d-%d", &p.index, &p.command, &p.part)
	return p, err == nil && p.in(cluster) == text
}

// timeAt returns when an entry was made, or zero if that is not known.
func timeAt(t time.Time) time.Time {
	if t.Unix() <= 0 {
		return time.Time{}
	}
	return t.UTC()
}
