package state

import (
	"bytes"
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

// A declared job is its spec, the input that came with it and a status: which
// revision it is, and what became of its trigger. When the trigger is to be
// looked at next is an index by time.

// maxJobChunks bounds how many entries of input are kept with a job.
const maxJobChunks = 64

func jobChunkKey(namespace, name string, i int) []byte {
	return append(binary.BigEndian.AppendUint64(named('b', namespace, name), uint64(i)), 0)
}

func jobStatusKey(namespace, name string) []byte { return named('y', namespace, name) }

func wakeKey(namespace, name string, at int64) []byte {
	return timed([]byte{'W'}, at, namespace, name)
}

// PutJob declares a job, or changes the one of that name, and returns it. Its
// trigger is looked at first at wake, if that is not zero. Each change is a
// revision; what is as it was stays the one that it is, so it may be repeated.
// With an expect that is not zero ErrRevision says that the job is at another
// one. Nothing that was settled is open again. An empty namespace is
// "default", an empty name the processor's.
func (s *State) PutJob(ctx context.Context, spec job.Spec, chunks [][]byte, wake time.Time, expect uint64) (job.Declared, error) {
	spec = spec.WithDefaults()
	if err := checkJob(spec.Namespace, spec.Name); err != nil {
		return job.Declared{}, err
	}
	if len(chunks) > maxJobChunks || stepSize(chunks) > maxStep {
		return job.Declared{}, fmt.Errorf("%w: job %s/%s has %d entries of input with %d bytes, the limit is %d and %d",
			ErrInvalid, spec.Namespace, spec.Name, len(chunks), stepSize(chunks), maxJobChunks, maxStep)
	}
	record, err := encode(spec)
	if err != nil {
		return job.Declared{}, err
	}
	overlap, limit, again := spec.Overlaps()
	c := &wire.PutJob{
		Namespace: spec.Namespace, Name: spec.Name, At: s.now().UnixNano(), Expect: expect,
		Overlap: overlap, Limit: limit, Again: again, Listens: spec.Listens(), Keep: s.allKnow(2), Record: record, Chunks: chunks,
	}
	if !wake.IsZero() {
		c.Wake = wake.UnixNano()
	}
	if _, err := s.propose(ctx, c); err != nil {
		return job.Declared{}, err
	}
	return s.Job(spec.Namespace, spec.Name)
}

func (tx *change) putJob(c *wire.PutJob) (result, error) {
	js, err := tx.job(c.Namespace, c.Name)
	if err != nil {
		return result{}, err
	}
	same, err := tx.sameJob(c, js)
	if err != nil || same {
		return result{}, err
	}
	if js == nil && c.Expect != 0 {
		return refuse(ErrRevision, "%s/%s is not declared, and not at %d", c.Namespace, c.Name, c.Expect)
	}
	j := jobName{c.Namespace, c.Name}
	if err := tx.mayListen(j, c.Listens); err != nil {
		return result{err: err}, nil //nolint:nilerr // a refusal is an answer
	}
	if js == nil {
		if js, err = tx.newJob(c); err != nil {
			return result{}, err
		}
	}
	if c.Expect != 0 && c.Expect != js.Revision {
		return refuse(ErrRevision, "%s/%s is at %d, not at %d", c.Namespace, c.Name, js.Revision, c.Expect)
	}
	for i := range js.Chunks {
		if err := tx.dropParts(jobChunkKey(c.Namespace, c.Name, i)); err != nil {
			return result{}, err
		}
	}
	listened := len(js.Listens) > 0
	if err := tx.listen(j, js, c.Listens); err != nil {
		return result{}, err
	}
	if listened && len(c.Listens) == 0 {
		err = errors.Join(tx.forsake(j), tx.openInbox(j, js))
	} else {
		err = tx.reopen(j, js)
	}
	if err != nil {
		return result{}, err
	}
	for i, b := range c.Chunks {
		if err := putParts(tx.batch, jobChunkKey(c.Namespace, c.Name, i), nil, b); err != nil {
			return result{}, err
		}
	}
	js.Revision++
	js.Saved, js.Chunks = c.At, len(c.Chunks)
	js.Overlap, js.Limit, js.Again, js.Ended = c.Overlap, c.Limit, c.Again, false
	js.Cursor = max(js.Cursor, c.At)
	js.Seq++ // what somebody is about to settle, he knew too little for
	tx.showJob(j, job.JobDeclared, "", js.Revision)
	if err := tx.dropParts(jobKey(c.Namespace, c.Name)); err != nil {
		return result{}, err
	}
	return result{}, errors.Join(
		tx.keepRevision(c, js),
		tx.wakeAt(c.Namespace, c.Name, js, c.Wake),
		putParts(tx.batch, jobKey(c.Namespace, c.Name), nil, c.Record),
	)
}

// newJob returns the status of a job that is declared for the first time. It
// may have been paused before that.
func (tx *change) newJob(c *wire.PutJob) (*wire.JobStatus, error) {
	js := &wire.JobStatus{Cursor: c.At}
	before, err := tx.anyJob(c.Namespace, c.Name)
	if err != nil {
		return nil, err
	}
	if before != nil { // it was deleted, and runs of it go on
		js.Active, js.Keys, js.EndedAt = before.Active, before.Keys, before.EndedAt
	}
	switch _, err := tx.batch.Get(pauseKey(c.Namespace, c.Name)); {
	case err == nil:
		js.PausedAt = c.At
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	tx.look(jobName{c.Namespace, c.Name}, js)
	return js, tx.openInbox(jobName{c.Namespace, c.Name}, js)
}

// sameJob reports whether a job is declared already as c says.
func (tx *change) sameJob(c *wire.PutJob, js *wire.JobStatus) (bool, error) {
	if js == nil || js.Chunks != len(c.Chunks) || !slices.Equal(js.Listens, c.Listens) {
		return false, nil
	}
	has, err := getParts(tx.batch, jobKey(c.Namespace, c.Name))
	if err != nil || !bytes.Equal(has, c.Record) {
		return false, missing(err)
	}
	for i, b := range c.Chunks {
		has, err := getParts(tx.batch, jobChunkKey(c.Namespace, c.Name, i))
		if err != nil || !bytes.Equal(has, b) {
			return false, missing(err)
		}
	}
	return true, nil
}

// dropParts removes what putParts wrote, if it did.
func (tx *change) dropParts(key []byte) error {
	first, err := tx.batch.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return deleteParts(tx.batch, key, first)
}

// DeleteJob removes a job; its runs stay. A job that is not there is left as
// it is, with ErrNoJob.
func (s *State) DeleteJob(ctx context.Context, namespace, name string) error {
	if namespace == "" {
		namespace = defaultNamespace
	}
	if err := checkJob(namespace, name); err != nil {
		return err
	}
	_, err := s.propose(ctx, &wire.DeleteJob{Namespace: namespace, Name: name})
	return err
}

func (tx *change) deleteJob(c *wire.DeleteJob) (result, error) {
	js, err := tx.job(c.Namespace, c.Name)
	if err != nil {
		return result{}, err
	}
	if js == nil {
		return refuse(ErrNoJob, "%s/%s", c.Namespace, c.Name)
	}
	for i := range js.Chunks {
		if err := tx.dropParts(jobChunkKey(c.Namespace, c.Name, i)); err != nil {
			return result{}, err
		}
	}
	j := jobName{c.Namespace, c.Name}
	if err := errors.Join(tx.wakeAt(c.Namespace, c.Name, js, 0), tx.listen(j, js, nil), tx.forsake(j), tx.forgetRevisions(j, js)); err != nil {
		return result{}, err
	}
	var left *wire.JobStatus
	if len(js.Active) > 0 {
		left = &wire.JobStatus{Deleted: true, Active: js.Active, Keys: js.Keys, EndedAt: js.EndedAt}
	}
	tx.jobs[j] = left
	tx.showJob(j, job.JobDeleted, "", 0)
	return result{}, tx.dropParts(jobKey(c.Namespace, c.Name))
}

// jobName names a job.
type jobName struct{ namespace, name string }

func (j jobName) compare(o jobName) int {
	return cmp.Or(cmp.Compare(j.namespace, o.namespace), cmp.Compare(j.name, o.name))
}

// job returns the status of a declared job as of now, or nil. It is written
// with the change, so whoever changes it changes the job.
func (tx *change) job(namespace, name string) (*wire.JobStatus, error) {
	js, err := tx.anyJob(namespace, name)
	if js != nil && js.Deleted {
		js = nil
	}
	return js, err
}

// anyJob is job for one that was deleted, too, as long as runs of it go on.
func (tx *change) anyJob(namespace, name string) (*wire.JobStatus, error) {
	key := jobName{namespace, name}
	js, ok := tx.jobs[key]
	if !ok {
		var err error
		if js, err = readJobStatus(tx.batch, namespace, name); err != nil {
			return nil, err
		}
	}
	if js != nil {
		tx.look(key, js)
	}
	return js, nil
}

// look has the status of a job written with the change, and measured when the
// command is over that may change it.
func (tx *change) look(j jobName, js *wire.JobStatus) {
	tx.jobs[j] = js
	tx.atWork = append(tx.atWork, j)
}

// measure counts what the status of a job takes by now.
func (tx *change) measure(j jobName) {
	n := jobSize(j, tx.jobs[j])
	tx.pending += n - tx.sizes[j]
	tx.sizes[j] = n
}

// maxJobStatus is above what the status of a job takes.
const maxJobStatus = 96 << 10

// jobSize is an upper bound of what the status of a job takes in a write; nil is
// that of one that is removed.
func jobSize(j jobName, js *wire.JobStatus) int {
	const numbers, header = 512, 16 // all numbers together, and what names a field or a text
	n := numbers + perRecord + len(j.namespace) + len(j.name)
	if js == nil {
		return n
	}
	n += len(js.Overlap) + len(js.Last) + activeSize(js)
	for _, all := range [][]wire.CauseCount{js.Causes, js.Refused} {
		for i := range all {
			n += len(all[i].Cause) + 2*header
		}
	}
	for i := range js.Recent {
		n += len(js.Recent[i].Cause) + 8*header
	}
	for _, t := range js.Listens {
		n += len(t) + header
	}
	return n
}

func readJobStatus(g getter, namespace, name string) (*wire.JobStatus, error) {
	b, err := g.Get(jobStatusKey(namespace, name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	js := new(wire.JobStatus)
	return js, wire.DecodeRecord(b, js)
}

// putJobs writes the statuses of jobs that were looked at.
func (tx *change) putJobs() error {
	for key, js := range tx.jobs { // in any order: they are different records of one write
		k := jobStatusKey(key.namespace, key.name)
		if js == nil {
			if err := tx.batch.Delete(k); err != nil {
				return err
			}
			continue
		}
		b, err := wire.EncodeRecord(js)
		if err == nil {
			err = tx.batch.Put(k, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wakeAt has the trigger of a job looked at at another time; zero is never.
func (tx *change) wakeAt(namespace, name string, js *wire.JobStatus, at int64) error {
	if at == js.Wake {
		return nil
	}
	var err error
	if js.Wake != 0 {
		err = tx.batch.Delete(wakeKey(namespace, name, js.Wake))
	}
	if js.Wake = at; at != 0 {
		err = errors.Join(err, tx.batch.Put(wakeKey(namespace, name, at), nil))
	}
	return err
}

// Job returns a declared job, or ErrNoJob.
func (s *State) Job(namespace, name string) (job.Declared, error) {
	v, err := s.view()
	if err != nil {
		return job.Declared{}, err
	}
	defer v.Close()
	return readJob(v, namespace, name)
}

// JobInput returns a declared job with the input that came with it, or ErrNoJob.
func (s *State) JobInput(namespace, name string) (job.Declared, [][]byte, error) {
	v, err := s.view()
	if err != nil {
		return job.Declared{}, nil, err
	}
	defer v.Close()
	d, err := readJob(v, namespace, name)
	if err != nil {
		return d, nil, err
	}
	chunks, err := readJobChunks(v, d.Spec.Namespace, d.Spec.Name)
	return d, chunks, err
}

func readJob(v getter, namespace, name string) (job.Declared, error) {
	if namespace == "" {
		namespace = defaultNamespace
	}
	b, err := getParts(v, jobKey(namespace, name))
	if errors.Is(err, store.ErrNotFound) {
		return job.Declared{}, fmt.Errorf("%w: %s/%s", ErrNoJob, namespace, name)
	}
	if err != nil {
		return job.Declared{}, err
	}
	return declared(v, namespace, name, b)
}

// declared puts a job together.
func declared(g getter, namespace, name string, record []byte) (job.Declared, error) {
	var d job.Declared
	if err := wire.DecodeRecord(record, &d.Spec); err != nil {
		return d, err
	}
	js, err := readJobStatus(g, namespace, name)
	if err != nil {
		return d, err
	}
	if js == nil {
		return d, fmt.Errorf("state: job %s/%s has no status: %w", namespace, name, store.ErrCorrupt)
	}
	d.Revision, d.Saved, d.Inline = js.Revision, timeOf(js.Saved), js.Chunks > 0
	d.Fires = job.Fires{
		Cursor: timeOf(js.Cursor), Wake: timeOf(js.Wake), Ended: js.Ended, Seq: js.Seq, Runs: js.Runs, Active: js.Active, Last: js.Last,
		Recent: js.Recent, PausedAt: timeOf(js.PausedAt), ResumedAt: timeOf(js.ResumedAt), EndedAt: timeOf(js.EndedAt),
	}
	for _, c := range js.Causes {
		if d.Fires.Skipped == nil {
			d.Fires.Skipped = map[string]int{}
		}
		d.Fires.Skipped[c.Cause] = c.N
	}
	if d.Fires.Paused() {
		p, _, err := readPause(g, namespace, name)
		if err != nil {
			return d, err
		}
		d.Fires.PausedFor = p.Reason
	}
	if len(js.Listens) == 0 {
		return d, nil
	}
	for _, c := range js.Refused {
		if d.Fires.Refused == nil {
			d.Fires.Refused = map[string]int{}
		}
		d.Fires.Refused[c.Cause] = c.N
	}
	in, err := readInbox(g, jobName{namespace, name})
	d.Fires.Heard, d.Fires.Waiting = js.Heard, int(in.letters)
	return d, err
}

// Jobs returns at most limit declared jobs of a namespace, or of all if it is
// empty, in the order of namespace and name. It goes on behind the job after,
// which is namespace and name with a slash between them unless namespace says
// the first. A limit of zero or less means 100.
func (s *State) Jobs(namespace, after string, limit int) ([]job.Declared, error) {
	if limit <= 0 {
		limit = 100
	}
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	prefix := []byte("s")
	if namespace != "" {
		prefix = named('s', namespace)
	}
	var from []byte
	if after != "" {
		ns, name := namespace, after
		if ns == "" {
			a, b, _ := bytes.Cut([]byte(after), []byte("/"))
			ns, name = string(a), string(b)
		}
		from = append(named('s', ns, name), 1) // above all parts of after
	}
	var all []job.Declared
	for b, err := range joinParts(v.ScanFrom(prefix, from)) {
		if err != nil {
			return nil, err
		}
		names := bytes.Split(b.key[1:], []byte{0})
		d, err := declared(v, string(names[0]), string(names[1]), b.data)
		if err != nil {
			return nil, err
		}
		if all = append(all, d); len(all) == limit {
			break
		}
	}
	return all, nil
}

// JobChunks returns the input that came with a job.
func (s *State) JobChunks(namespace, name string) ([][]byte, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return readJobChunks(v, namespace, name)
}

func readJobChunks(v getter, namespace, name string) ([][]byte, error) {
	js, err := readJobStatus(v, namespace, name)
	if err != nil || js == nil || js.Deleted {
		return nil, err
	}
	chunks := make([][]byte, js.Chunks)
	for i := range chunks {
		if chunks[i], err = getParts(v, jobChunkKey(namespace, name, i)); err != nil {
			return nil, missing(err)
		}
	}
	return chunks, nil
}
