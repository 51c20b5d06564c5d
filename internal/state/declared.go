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
	if err := tx.withdraw(j, js); err != nil {
		return result{}, err
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
	if err := tx.withdraw(j, js); err != nil {
		return result{}, err
	}
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
		key := wakeKey(namespace, name, at)
		tx.placed = append(tx.placed, placed{key[:1], key})
		err = errors.Join(err, tx.batch.Put(key, nil))
	}
	return err
}
