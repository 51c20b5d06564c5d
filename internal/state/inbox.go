package state

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// A job whose trigger is due when something happens has an inbox. What happens
// is put there, as a letter, by the very command that records it: the event,
// the end of a run, the coming of a node. So nothing is missed by a leader that
// is replaced, and nothing is told twice. Whoever leads reads the letters in
// their order and settles them as it settles fires: one command makes the runs,
// removes the letters that are not needed any more and keeps what the trigger
// has to remember of them.

const (
	// maxLetters and maxLetterBytes bound what waits in an inbox.
	maxLetters     = 20_000
	maxLetterBytes = 16 << 20
	// maxListeners is how many jobs may listen to one topic, and maxTold how
	// much one event may put into all their inboxes, in bytes.
	maxListeners = 500
	maxTold      = 2 << 20
	// aboutLetter is above what a letter takes beside its data.
	aboutLetter = 2 << 10
	// maxRemembered bounds what a trigger remembers, in bytes.
	maxRemembered = 2 << 20
)

// topic is what jobs listen to.
type topic struct{ namespace, name string }

// topicOf returns a topic that a job of a namespace listens to.
func topicOf(namespace, name string) topic {
	if name == job.TopicNodes {
		namespace = "" // nodes are in none
	}
	return topic{namespace, name}
}

func listenKey(t topic, j jobName) []byte {
	return named('t', t.namespace, t.name, j.namespace, j.name)
}

func letterKey(j jobName, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(named('n', j.namespace, j.name), seq)
}

func inboxKey(j jobName) []byte  { return named('o', j.namespace, j.name) }
func mailKey(j jobName) []byte   { return named('M', j.namespace, j.name) }
func memoryKey(j jobName) []byte { return append(named('m', j.namespace, j.name), 0) }
func nodeKey(id string) []byte   { return named('N', id) }

// inbox counts the letters of a job: the number of the next, and how many
// there are with how many bytes.
type inbox struct{ next, letters, bytes uint64 }

func readInbox(g getter, j jobName) (in inbox, err error) {
	b, err := g.Get(inboxKey(j))
	if errors.Is(err, store.ErrNotFound) {
		return in, nil
	}
	if err == nil && len(b) != 24 {
		err = fmt.Errorf("state: inbox of job %s/%s has %d bytes: %w", j.namespace, j.name, len(b), store.ErrCorrupt)
	}
	if err != nil {
		return in, err
	}
	return inbox{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}, nil
}

func (tx *change) putInbox(j jobName, in inbox) error {
	b := binary.BigEndian.AppendUint64(nil, in.next)
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, in.letters), in.bytes)
	return tx.batch.Put(inboxKey(j), b)
}

// loadListeners reads who listens to what.
func (f *fsm) loadListeners(v *store.Snapshot) error {
	f.listeners = map[topic][]jobName{}
	for p, err := range v.Scan([]byte("t")) {
		if err != nil {
			return err
		}
		names := splitNames(p.Key[1:])
		if len(names) != 4 {
			return fmt.Errorf("state: record %q of a listener: %w", p.Key, store.ErrCorrupt)
		}
		t := topic{names[0], names[1]}
		f.listeners[t] = append(f.listeners[t], jobName{names[2], names[3]})
	}
	return nil
}

// listeners returns who listens to a topic as of now.
func (tx *change) listeners(t topic) []jobName {
	if all, changed := tx.heard[t]; changed {
		return all
	}
	return tx.f.listeners[t]
}

// listen makes a job listen to topics in place of those it did.
func (tx *change) listen(j jobName, js *wire.JobStatus, topics []string) error {
	if slices.Equal(js.Listens, topics) {
		return nil
	}
	for _, name := range js.Listens {
		t := topicOf(j.namespace, name)
		tx.heard[t] = slices.DeleteFunc(slices.Clone(tx.listeners(t)), func(o jobName) bool { return o == j })
		if err := tx.batch.Delete(listenKey(t, j)); err != nil {
			return err
		}
	}
	for _, name := range topics {
		t := topicOf(j.namespace, name)
		tx.heard[t] = append(slices.Clone(tx.listeners(t)), j)
		slices.SortFunc(tx.heard[t], jobName.compare)
		if err := tx.batch.Put(listenKey(t, j), nil); err != nil {
			return err
		}
	}
	js.Listens = topics
	return nil
}

// mayListen refuses a job more that listens to a topic of very many.
func (tx *change) mayListen(j jobName, topics []string) error {
	for _, name := range topics {
		all := tx.listeners(topicOf(j.namespace, name))
		if len(all) >= maxListeners && !slices.Contains(all, j) {
			return fmt.Errorf("%w: %d jobs wait for %q already, which is the limit: let one of them start the others", ErrInvalid, len(all), name)
		}
	}
	return nil
}

// post puts a letter into the inbox of a job. It reports whether there was
// room.
func (tx *change) post(j jobName, letter []byte) (bool, error) {
	in, err := readInbox(tx.batch, j)
	if err != nil {
		return false, err
	}
	if in.letters >= maxLetters || in.bytes+uint64(len(letter)) > maxLetterBytes {
		return false, nil
	}
	tx.mail = true
	seq := in.next
	in.next++
	in.letters++
	in.bytes += uint64(len(letter))
	return true, errors.Join(
		tx.batch.Put(letterKey(j, seq), letter),
		tx.batch.Put(mailKey(j), nil),
		tx.putInbox(j, in),
	)
}

// tell puts a letter into the inboxes of all who listen. One that has no room
// counts it as skipped.
func (tx *change) tell(t topic, l *wire.Letter) error {
	listeners := tx.listeners(t)
	if len(listeners) == 0 {
		return nil
	}
	b, err := wire.EncodeRecord(l)
	if err != nil {
		return err
	}
	for _, j := range listeners {
		ok, err := tx.post(j, b)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		js, err := tx.job(j.namespace, j.name)
		if err != nil {
			return err
		}
		if js != nil {
			js.Skip(job.Skipped{Cause: job.CauseBuffer, From: timeOf(l.At), To: timeOf(l.At), Count: 1, At: timeOf(l.At)}, maxRecent)
		}
	}
	return nil
}

// runEnded tells the jobs that wait for runs of a job that one has ended.
func (tx *change) runEnded(id job.RunID, st *wire.RunStatus) error {
	t := topic{st.Namespace, job.TopicUpstream(st.Job)}
	if len(tx.listeners(t)) == 0 {
		return nil
	}
	record, err := recordOf(tx.batch, id, st)
	if err != nil {
		return err
	}
	l := wire.Letter{Kind: wire.LetterEnded, At: st.Finished, Job: st.Job, Run: id, Outcome: outcomeOf(st)}
	var run job.Run
	if wire.DecodeRecord(record, &run) == nil { // one that this version can't read has no instant
		l.Nominal, l.Partition = nanos(run.Fire), cut(run.Key, maxName)
	}
	return tx.tell(t, &l)
}

// outcomeOf returns how a run ended, for those that wait for it.
func outcomeOf(st *wire.RunStatus) string {
	if st.State != job.Succeeded {
		return job.OutcomeFailure
	}
	var p job.Progress
	if wire.DecodeRecord(st.Progress, &p) == nil && p.Failed > 0 {
		return job.OutcomePartial
	}
	return job.OutcomeSuccess
}

// letters is above what the end of a run puts into inboxes, in bytes.
func (tx *change) letters(st *wire.RunStatus) int {
	return len(tx.listeners(topic{st.Namespace, job.TopicUpstream(st.Job)})) * aboutLetter
}

// hear carries out what c says of the letters of a job.
func (tx *change) hear(c *wire.FireJob, js *wire.JobStatus) error {
	j := jobName{c.Namespace, c.Name}
	in, err := readInbox(tx.batch, j)
	if err != nil {
		return err
	}
	for _, seq := range c.Consumed {
		if err := tx.consume(j, &in, seq); err != nil {
			return err
		}
	}
	for _, k := range c.Refused {
		js.Refuse(k)
	}
	js.Heard = max(js.Heard, c.Heard)
	if in.next <= js.Heard || Room(j.namespace, j.name, js.Overlap, js.Limit, len(js.Active)) <= 0 {
		err = tx.batch.Delete(mailKey(j)) // there is none, or the end of a run has it read
	}
	return errors.Join(err, tx.putInbox(j, in), tx.dropParts(memoryKey(j)), putParts(tx.batch, memoryKey(j), nil, c.Memory))
}

// Room returns how many runs more of a job may be made of letters, if so many
// of them go on. Policies that let runs wait, or go on beside each other, have
// a limit, and what is above it waits in the inbox; for others there is room in
// any case, and they say what becomes of each.
func Room(namespace, name, policy string, limit, active int) int {
	switch policy {
	case job.OverlapAllow, job.OverlapQueueAll:
		const aboutID = 64 // what a run's ID takes beside those names, and the record of it
		return min(cmp.Or(limit, defaultLimit), maxActive, maxActiveBytes/(len(namespace)+len(name)+aboutID)) - active
	}
	return maxActive
}

// reopen has the letters of a job looked at that were left for later.
func (tx *change) reopen(j jobName, js *wire.JobStatus) error {
	if len(js.Listens) == 0 {
		return nil
	}
	in, err := readInbox(tx.batch, j)
	if err != nil || in.next <= js.Heard {
		return err
	}
	tx.mail = true
	return tx.batch.Put(mailKey(j), nil)
}

// openInbox begins the inbox of a job that is declared: what waits there is of
// an earlier job of the name, or an earlier trigger.
func (tx *change) openInbox(j jobName, js *wire.JobStatus) error {
	in, err := readInbox(tx.batch, j)
	js.From, js.Heard = in.next, in.next
	return err
}

// consume removes a letter, if it is there.
func (tx *change) consume(j jobName, in *inbox, seq uint64) error {
	key := letterKey(j, seq)
	b, err := tx.batch.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = tx.batch.Delete(key)
	}
	in.letters--
	in.bytes -= uint64(len(b))
	return err
}
