package state

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

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
	// eventFor is how long it is remembered that there was an event.
	eventFor = time.Hour
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

func eventKey(namespace, name, id string) []byte { return named('E', namespace, name, id) }

func oldEventKey(namespace, name, id string, at int64) []byte {
	return timed([]byte{'F'}, at, namespace, name, id)
}

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

// Told is what became of an event.
type Told struct {
	// Jobs is how many jobs listen to it.
	Jobs int
	// Known says that it was told before.
	Known bool
}

// PutEvent tells the jobs that listen of an event. It may be repeated: within
// an hour an event of the same namespace, name and ID is the same. ErrOverloaded
// says that so much waits in the inbox of one of them that nothing was told to
// any.
func (s *State) PutEvent(ctx context.Context, e job.Event) (Told, error) {
	c := &wire.PutEvent{Namespace: e.Namespace, Name: e.Name, ID: e.ID, At: s.now().UnixNano(), Data: e.Data}
	if err := checkNames(c); err != nil {
		return Told{}, err
	}
	if len(e.Data) > job.MaxEventData {
		return Told{}, fmt.Errorf("%w: event %q has %d bytes of data, the limit is %d: put them where they can be fetched", ErrInvalid, e.Name, len(e.Data), job.MaxEventData)
	}
	r, err := s.propose(ctx, c)
	return r.told, err
}

func (tx *change) putEvent(c *wire.PutEvent) (result, error) {
	t := topic{c.Namespace, job.TopicEvent(c.Name)}
	listeners := tx.listeners(t)
	told := Told{Jobs: len(listeners)}
	switch _, err := tx.batch.Get(eventKey(c.Namespace, c.Name, c.ID)); {
	case err == nil:
		told.Known = true
		return result{told: told}, nil
	case !errors.Is(err, store.ErrNotFound):
		return result{}, err
	}
	b, err := wire.EncodeRecord(&wire.Letter{Kind: wire.LetterEvent, At: c.At, Name: c.Name, ID: c.ID, Data: c.Data})
	if err != nil {
		return result{}, err
	}
	if len(b)*len(listeners) > maxTold {
		return refuse(ErrInvalid, "event %q has %d bytes and %d jobs wait for it, which is %d together, over the limit of %d: put its data where they can be fetched",
			c.Name, len(b), len(listeners), len(b)*len(listeners), maxTold)
	}
	for _, j := range listeners {
		in, err := readInbox(tx.batch, j)
		if err != nil {
			return result{}, err
		}
		if in.letters >= maxLetters || in.bytes+uint64(len(b)) > maxLetterBytes {
			return refuse(ErrOverloaded, "%d events with %d bytes wait for job %s/%s", in.letters, in.bytes, j.namespace, j.name)
		}
	}
	for _, j := range listeners {
		if _, err := tx.post(j, b); err != nil {
			return result{}, err
		}
	}
	return result{told: told}, errors.Join(
		tx.batch.Put(eventKey(c.Namespace, c.Name, c.ID), binary.BigEndian.AppendUint64(nil, uint64(c.At))),
		tx.batch.Put(oldEventKey(c.Namespace, c.Name, c.ID, c.At), nil),
	)
}

func (tx *change) forgetEvent(c *wire.ForgetEvent) (result, error) {
	key := eventKey(c.Namespace, c.Name, c.ID)
	b, err := tx.batch.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return result{}, nil
	}
	if err == nil && len(b) != 8 {
		err = fmt.Errorf("state: record %q of an event: %w", key, store.ErrCorrupt)
	}
	if err != nil {
		return result{}, err
	}
	at := int64(binary.BigEndian.Uint64(b))
	if at >= c.Before {
		return result{}, nil
	}
	return result{}, errors.Join(tx.batch.Delete(key), tx.batch.Delete(oldEventKey(c.Namespace, c.Name, c.ID, at)))
}

// sweepEvents forgets events of long ago.
func (s *State) sweepEvents(ctx context.Context, before int64) error {
	for {
		page, err := s.page([]byte("F"), nil)
		if err != nil || len(page) == 0 {
			return err
		}
		var old []wire.Command
		for _, key := range page {
			if len(key) < 9 || disordered(key[1:]) >= before {
				break
			}
			names := splitNames(key[9:])
			if len(names) != 3 {
				return fmt.Errorf("state: record %q of an event: %w", key, store.ErrCorrupt)
			}
			old = append(old, &wire.ForgetEvent{Namespace: names[0], Name: names[1], ID: names[2], Before: before})
		}
		if err := s.steps(ctx, len(old), func(i int) wire.Command { return old[i] }); err != nil || len(old) < len(page) {
			return err
		}
	}
}

// NoteNode records what became of a node: it joins, leaves or leads, in a life
// or, if it leads, a term. What is known already changes nothing, so each
// leader may say all that it sees.
func (s *State) NoteNode(ctx context.Context, what, node, called string, life uint64) error {
	c := &wire.NoteNode{What: what, Node: node, Called: called, Life: life, At: s.now().UnixNano()}
	if err := checkNames(c); err != nil {
		return err
	}
	_, err := s.propose(ctx, c)
	return err
}

// noted is what is known of a node: which life it was in last, and whether it
// has left; of who leads, by the empty ID, the last term.
type noted struct {
	life uint64
	left bool
}

func readNoted(g getter, id string) (n noted, known bool, err error) {
	b, err := g.Get(nodeKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return n, false, nil
	}
	if err == nil && len(b) != 9 {
		err = fmt.Errorf("state: record of node %q has %d bytes: %w", id, len(b), store.ErrCorrupt)
	}
	if err != nil {
		return n, false, err
	}
	return noted{binary.BigEndian.Uint64(b), b[8] != 0}, true, nil
}

func (tx *change) putNoted(id string, n noted) error {
	b := binary.BigEndian.AppendUint64(nil, n.life)
	if n.left {
		return tx.batch.Put(nodeKey(id), append(b, 1))
	}
	return tx.batch.Put(nodeKey(id), append(b, 0))
}

func (tx *change) noteNode(c *wire.NoteNode) (result, error) {
	id := c.Node
	if c.What == job.NodeLeads {
		id = ""
	}
	old, known, err := readNoted(tx.batch, id)
	if err != nil {
		return result{}, err
	}
	var news []string
	next := noted{life: c.Life}
	switch c.What {
	case job.NodeLeads:
		if known && c.Life <= old.life {
			return result{}, nil
		}
		if news = []string{job.NodeLeads}; !known {
			news = append(news, job.ClusterForm)
		}
	case job.NodeJoins:
		switch {
		case known && (c.Life < old.life || c.Life == old.life && !old.left):
			return result{}, nil
		case !known || c.Life > old.life:
			news = append(news, job.NodeStarts)
		}
		news = append(news, job.NodeJoins)
	case job.NodeLeaves:
		if !known || old.left || c.Life != old.life {
			return result{}, nil
		}
		news, next.left = []string{job.NodeLeaves}, true
	default:
		return refuse(ErrInvalid, "nothing called %q happens to a node", c.What)
	}
	for _, what := range news {
		l := &wire.Letter{Kind: wire.LetterNode, At: c.At, What: what, Node: c.Node, Called: c.Called, Life: c.Life}
		if err := tx.tell(topicOf("", job.TopicNodes), l); err != nil {
			return result{}, err
		}
	}
	return result{}, tx.putNoted(id, next)
}

// Present returns the lives of the nodes that have joined and not left, by ID.
func (s *State) Present() (map[string]uint64, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	all := map[string]uint64{}
	for p, err := range v.Scan([]byte("N")) {
		if err != nil {
			return nil, err
		}
		if len(p.Value) != 9 {
			return nil, fmt.Errorf("state: record %q of a node: %w", p.Key, store.ErrCorrupt)
		}
		if id := string(p.Key[1 : len(p.Key)-1]); id != "" && p.Value[8] == 0 {
			all[id] = binary.BigEndian.Uint64(p.Value)
		}
	}
	return all, nil
}

// runEnded tells the jobs that wait for runs of a job that one has ended.
func (tx *change) runEnded(id job.RunID, st *wire.RunStatus) error {
	t := topic{st.Namespace, job.TopicUpstream(st.Job)}
	if len(tx.listeners(t)) == 0 {
		return nil
	}
	record, err := getParts(tx.batch, recordKey(id))
	if err != nil {
		return missing(err)
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

// Mailed returns a channel that holds something if letters may have come since
// it was taken.
func (s *State) Mailed() <-chan struct{} { return s.fsm.mailed }

// Letter is a letter with its number in the inbox.
type Letter struct {
	wire.Letter
	Seq uint64
}

// Inbox returns at most limit letters of a job from one number on, and what its
// trigger remembers of those before.
func (s *State) Inbox(namespace, name string, from uint64, limit int) (letters []Letter, memory []byte, err error) {
	v, err := s.view()
	if err != nil {
		return nil, nil, err
	}
	defer v.Close()
	j := jobName{namespace, name}
	prefix := named('n', namespace, name)
	for p, err := range v.ScanFrom(prefix, letterKey(j, from)) {
		if err != nil {
			return nil, nil, err
		}
		l := Letter{Seq: seqOf(p.Key, len(prefix))}
		if err := wire.DecodeRecord(p.Value, &l.Letter); err != nil {
			return nil, nil, err
		}
		if letters = append(letters, l); len(letters) == limit {
			break
		}
	}
	memory, err = getParts(v, memoryKey(j))
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return letters, memory, err
}

// Letters returns letters of a job by their numbers, as far as they are there.
func (s *State) Letters(namespace, name string, seqs []uint64) ([]Letter, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var all []Letter
	for _, seq := range seqs {
		b, err := v.Get(letterKey(jobName{namespace, name}, seq))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		l := Letter{Seq: seq}
		if err == nil {
			err = wire.DecodeRecord(b, &l.Letter)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// Mail returns at most limit jobs that have letters to be read and are not
// paused.
func (s *State) Mail(limit int) ([]Wake, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var all []Wake
	for p, err := range v.Scan([]byte("M")) {
		if err != nil {
			return nil, err
		}
		names := splitNames(p.Key[1:])
		if len(names) != 2 {
			return nil, fmt.Errorf("state: record %q of mail: %w", p.Key, store.ErrCorrupt)
		}
		switch _, err := v.Get(pauseKey(names[0], names[1])); {
		case err == nil:
			continue
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
		if all = append(all, Wake{Namespace: names[0], Name: names[1]}); len(all) == limit {
			break
		}
	}
	return all, nil
}

// forsake leaves the letters of a job that is deleted, or that nobody listens for
// any more, to be swept. What its trigger remembers goes.
func (tx *change) forsake(j jobName) error {
	return errors.Join(tx.batch.Delete(mailKey(j)), tx.dropParts(memoryKey(j)))
}

// openInbox begins the inbox of a job that is declared: what waits there is of
// an earlier job of the name, or an earlier trigger.
func (tx *change) openInbox(j jobName, js *wire.JobStatus) error {
	in, err := readInbox(tx.batch, j)
	js.From, js.Heard = in.next, in.next
	return err
}

// sweepPart is how many letters one command removes at most.
const sweepPart = 1000

// sweepLetters removes letters of jobs that were deleted.
func (s *State) sweepLetters(ctx context.Context) error {
	for from := []byte(nil); ; {
		page, err := s.page([]byte("o"), from)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, key := range page {
			names := splitNames(key[1:])
			if len(names) != 2 {
				return fmt.Errorf("state: record %q of an inbox: %w", key, store.ErrCorrupt)
			}
			for more := true; more && err == nil; {
				more, err = s.dropLetters(ctx, names[0], names[1])
			}
			if err != nil {
				return err
			}
		}
		from = append(page[len(page)-1], 0)
	}
}

// dropLetters removes letters that no job can read, and reports whether there
// may be more of them.
func (s *State) dropLetters(ctx context.Context, namespace, name string) (more bool, err error) {
	v, err := s.view()
	if err != nil {
		return false, err
	}
	js, err := readJobStatus(v, namespace, name)
	var seqs []uint64
	prefix := named('n', namespace, name)
	for p, scanErr := range v.Scan(prefix) {
		if err = errors.Join(err, scanErr); err != nil {
			break
		}
		seq := seqOf(p.Key, len(prefix))
		if len(seqs) == sweepPart || js != nil && !js.Deleted && seq >= js.From {
			break
		}
		seqs = append(seqs, seq)
	}
	v.Close()
	if err != nil || len(seqs) == 0 {
		return false, err
	}
	_, err = s.propose(ctx, &wire.DropLetters{Namespace: namespace, Name: name, Seqs: seqs})
	return len(seqs) == sweepPart, err
}

func (tx *change) dropLetters(c *wire.DropLetters) (result, error) {
	j := jobName{c.Namespace, c.Name}
	js, err := tx.job(c.Namespace, c.Name)
	if err != nil {
		return result{}, err
	}
	in, err := readInbox(tx.batch, j)
	if err != nil {
		return result{}, err
	}
	for _, seq := range c.Seqs {
		if js != nil && seq >= js.From {
			continue // the job was declared anew meanwhile
		}
		if err := tx.consume(j, &in, seq); err != nil {
			return result{}, err
		}
	}
	return result{}, tx.putInbox(j, in)
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
