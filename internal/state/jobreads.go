package state

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

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
