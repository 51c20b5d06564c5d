package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// maxRevisions is how many revisions of a job are kept, with the present one.
const maxRevisions = 50

func revisionPrefix(j jobName) []byte { return named('R', j.namespace, j.name) }

func revisionKey(j jobName, n uint64) []byte {
	return append(binary.BigEndian.AppendUint64(revisionPrefix(j), n), 0)
}

// keepRevision keeps the revision that a job is at now, and forgets the one that
// is too old.
func (tx *change) keepRevision(c *wire.PutJob, js *wire.JobStatus) error {
	if !c.Keep {
		return nil
	}
	j := jobName{c.Namespace, c.Name}
	if js.Revision > maxRevisions {
		if err := tx.dropParts(revisionKey(j, js.Revision-maxRevisions)); err != nil {
			return err
		}
	}
	return putParts(tx.batch, revisionKey(j, js.Revision), binary.BigEndian.AppendUint64(nil, uint64(c.At)), c.Record)
}

// forgetRevisions forgets all revisions of a job that is deleted.
func (tx *change) forgetRevisions(j jobName, js *wire.JobStatus) error {
	var errs []error
	for n := js.Revision - min(js.Revision, maxRevisions) + 1; n <= js.Revision; n++ {
		errs = append(errs, tx.dropParts(revisionKey(j, n)))
	}
	return errors.Join(errs...)
}

// Revisions returns the revisions of a job that are kept, the latest first, or
// ErrNoJob.
func (s *State) Revisions(namespace, name string) ([]job.Revision, error) {
	if namespace == "" {
		namespace = defaultNamespace
	}
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	js, err := readJobStatus(v, namespace, name)
	if err != nil {
		return nil, err
	}
	if js == nil || js.Deleted {
		return nil, fmt.Errorf("%w: %s/%s", ErrNoJob, namespace, name)
	}
	var all []job.Revision
	for n := js.Revision; n > 0 && js.Revision-n < maxRevisions; n-- {
		b, err := getParts(v, revisionKey(jobName{namespace, name}, n))
		if errors.Is(err, store.ErrNotFound) {
			continue // a version before kept none
		}
		if err == nil && len(b) < 8 {
			err = fmt.Errorf("state: revision %d of job %s/%s: %w", n, namespace, name, store.ErrCorrupt)
		}
		if err != nil {
			return nil, err
		}
		k := job.Revision{Revision: n, Saved: timeOf(int64(binary.BigEndian.Uint64(b)))}
		if err := wire.DecodeRecord(b[8:], &k.Spec); err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}
