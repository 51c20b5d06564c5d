package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/pkg/job"
)

// Runs that wait for a master are in lines: those of a job that have the same
// keys, of which one waits for what all do. The lines are in the order of
// priority, namespace and job, and a line in that of age, so that who gives
// each its turn finds the first of any line in one step, however many wait.

// lineOf returns the line of a run within its job: text that stands for its
// keys, or nothing if it has none.
func lineOf(run *job.Run) string {
	if run.LimitKey == "" && run.OverlapKey == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(run.LimitKey + "\x00" + run.OverlapKey))
	return hex.EncodeToString(sum[:8])
}

// lineKey is the place of a run that waits for a master.
func lineKey(id job.RunID, priority int, namespace, name, line string, created int64) []byte {
	k := make([]byte, 0, 2+len(namespace)+len(name)+len(line)+3+8+len(id)+1)
	k = append(append(k, 'o'), ranked(priority)...)
	for _, part := range []string{namespace, name, line} {
		k = append(append(k, part...), 0)
	}
	return timed(k, created, string(id))
}

// Lines is the runs that wait for a master as they were at one moment. It
// holds on to the disk space of what was replaced since, so it is closed soon.
type Lines struct {
	view *store.Snapshot
	seek *store.Seeker
}

// Lines returns the runs that wait for a master as they are now.
func (s *State) Lines() (*Lines, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	return &Lines{v, v.Seeker([]byte("o"))}, nil
}

// From returns the first run at the place that w says or behind it, in the
// order of priority, the highest first, then of namespace, job, line, creation
// and ID, and whether there is one. What is zero in w is before all else.
func (l *Lines) From(w Waiting) (Waiting, bool, error) {
	var created []byte
	if !w.Created.IsZero() || w.ID != "" {
		created = lineKey(w.ID, w.Priority, w.Namespace, w.Job, w.Line, w.Created.UnixNano())
	} else {
		created = lineKey("", w.Priority, w.Namespace, w.Job, w.Line, 0)
		created = created[:len(created)-9]
	}
	p, ok, err := l.seek.Seek(created)
	if err != nil || !ok {
		return Waiting{}, false, err
	}
	at, err := decodeLine(p)
	return at, err == nil, err
}

// Close lets go of them.
func (l *Lines) Close() {
	l.seek.Close()
	l.view.Close()
}

func decodeLine(p store.Pair) (Waiting, error) {
	damaged := fmt.Errorf("state: record %q of a run that waits: %w", p.Key, store.ErrCorrupt)
	if len(p.Key) < 2 || len(p.Value) != 8 {
		return Waiting{}, damaged
	}
	parts := bytes.SplitN(p.Key[2:], []byte{0}, 4)
	if len(parts) != 4 || len(parts[3]) < 10 {
		return Waiting{}, damaged
	}
	rest := parts[3]
	return Waiting{
		Priority: job.MaxPriority - int(p.Key[1]), Namespace: string(parts[0]), Job: string(parts[1]), Line: string(parts[2]),
		Created: timeOf(disordered(rest)), ID: job.RunID(rest[8 : len(rest)-1]), NotBefore: timeOf(disordered(p.Value)),
	}, nil
}

// oldLayout is the one before lines: all that wait in the order of priority and
// age, under "p".
const oldLayout = 2

// migrate makes lines of what waits in the old layout. It may be repeated after
// a crash in the middle: what is done is not there any more.
func (f *fsm) migrate() error {
	for {
		v, err := f.kv.Snapshot()
		if err != nil {
			return err
		}
		done, err := f.migrateSome(v)
		v.Close()
		if err != nil || done {
			return err
		}
	}
}

func (f *fsm) migrateSome(v *store.Snapshot) (done bool, err error) {
	const some = 1000
	b, err := f.kv.Batch()
	if err != nil {
		return false, err
	}
	defer b.Discard()
	n := 0
	for p, err := range v.Scan([]byte("p")) {
		if err != nil {
			return false, err
		}
		if n == some {
			return false, f.write(b)
		}
		n++
		k, value := p.Key[1:], bytes.Clone(p.Value)
		if len(k) <= 10 || len(value) < 10 {
			return false, fmt.Errorf("state: record %q of a run that waits: %w", p.Key, store.ErrCorrupt)
		}
		names := bytes.SplitN(value[8:], []byte{0}, 3)
		if len(names) != 3 {
			return false, fmt.Errorf("state: record %q of a run that waits: %w", p.Key, store.ErrCorrupt)
		}
		id, priority := job.RunID(k[9:len(k)-1]), job.MaxPriority-int(k[0])
		if err := b.Put(lineKey(id, priority, string(names[0]), string(names[1]), "", disordered(k[1:])), value[:8]); err != nil {
			return false, err
		}
		if err := b.Delete(bytes.Clone(p.Key)); err != nil {
			return false, err
		}
	}
	if err := b.Put(versionKey, []byte{layoutVersion}); err != nil {
		return false, err
	}
	return true, f.write(b)
}
