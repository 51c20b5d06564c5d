package state

import (
	"errors"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
)

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
		js = tx.f.recent.get(key)
	}
	if js == nil && !ok {
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
