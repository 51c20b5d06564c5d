package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/pkg/job"
)

// Runs that wait for a master are in lines: those of a job that have the same
// keys, of which one waits for what all do. The lines are in the order of
// priority, namespace and job, and a line in that of age, so that who gives
// each its turn finds any line, and the first of it, in one step, however many
// wait.

// LineOf returns the line of a run within its job: text that stands for its
// keys, or nothing if it has none.
func LineOf(run *job.Run) string {
	if run.LimitKey == "" && run.OverlapKey == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(run.LimitKey + "\x00" + run.OverlapKey))
	return hex.EncodeToString(sum[:8])
}

// lineKey is the beginning of the places of a line, with kind 'x', or of how
// many they are, with kind 'X'.
func lineKey(kind byte, priority int, namespace, name, line string) []byte {
	k := make([]byte, 0, 2+len(namespace)+len(name)+len(line)+3+8+64)
	k = append(append(k, kind), ranked(priority)...)
	for _, part := range []string{namespace, name, line} {
		k = append(append(k, part...), 0)
	}
	return k
}

// placeKey is the place of a run that waits for a master.
func placeKey(line []byte, id job.RunID, created int64) []byte {
	return timed(line[:len(line):len(line)], created, string(id))
}

// Lines is the runs that wait for a master as they were at one moment. It
// holds on to the disk space of what was replaced since, so it is closed soon.
type Lines struct {
	s           *State
	epoch       uint64
	view        *store.Snapshot
	lines, runs *store.Seeker
}

// Lines returns the runs that wait for a master as they are now.
func (s *State) Lines() (*Lines, error) {
	epoch := s.fsm.lines.open()
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	return &Lines{s, epoch, v, v.Seeker([]byte("X")), v.Seeker([]byte("x"))}, nil
}

// Line returns the first line at the place that w says or behind it, in the
// order of priority, the highest first, then of namespace, job and line, and
// whether there is one.
func (l *Lines) Line(w Waiting) (Waiting, bool, error) {
	p, ok, err := l.lines.Seek(lineKey('X', w.Priority, w.Namespace, w.Job, w.Line), []byte("X"))
	if err != nil || !ok {
		return Waiting{}, false, err
	}
	parts := bytes.Split(p.Key[min(2, len(p.Key)):], []byte{0})
	if len(parts) != 4 {
		return Waiting{}, false, fmt.Errorf("state: record %q of a line: %w", p.Key, store.ErrCorrupt)
	}
	return Waiting{
		Priority: job.MaxPriority - int(p.Key[1]), Namespace: string(parts[0]), Job: string(parts[1]), Line: string(parts[2]),
	}, true, nil
}

// Run returns the first run of a line at the place that w says, in the order of
// creation and ID, or behind it, and whether there is one. Without an ID that is
// the first of all.
func (l *Lines) Run(w Waiting) (Waiting, bool, error) {
	line := lineKey('x', w.Priority, w.Namespace, w.Job, w.Line)
	start := l.s.fsm.lines.start(line)
	if w.ID != "" {
		start = placeKey(line, w.ID, w.Created.UnixNano())
	}
	p, ok, err := l.runs.Seek(start, line)
	if err != nil || !ok {
		return Waiting{}, false, err
	}
	rest := p.Key[len(line):]
	if len(rest) < 10 || len(p.Value) != 8 {
		return Waiting{}, false, fmt.Errorf("state: record %q of a run that waits: %w", p.Key, store.ErrCorrupt)
	}
	if w.ID == "" {
		l.s.fsm.lines.found(l.epoch, line, p.Key)
	}
	w.Created, w.ID, w.NotBefore = timeOf(disordered(rest)), job.RunID(rest[8:len(rest)-1]), timeOf(disordered(p.Value))
	return w, true, nil
}

// Close lets go of them.
func (l *Lines) Close() {
	l.lines.Close()
	l.runs.Close()
	l.view.Close()
}

// migrateLines makes lines of what waits in the old layout. It may be repeated
// after a crash in the middle: what is done is not there any more.
func (f *fsm) migrateLines() error {
	for {
		v, err := f.kv.Snapshot()
		if err != nil {
			return err
		}
		done, err := f.migrateLine(v)
		v.Close()
		if err != nil || done {
			return err
		}
	}
}

func (f *fsm) migrateLine(v *store.Snapshot) (done bool, err error) {
	const some = 1000
	b, err := f.kv.Batch()
	if err != nil {
		return false, err
	}
	defer b.Discard()
	n, lines := 0, map[string]uint64{}
	for p, err := range v.Scan([]byte("p")) {
		if err != nil {
			return false, err
		}
		if n == some {
			break
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
		line := lineKey('x', priority, string(names[0]), string(names[1]), "")
		lines[string(line[1:])]++
		if err := errors.Join(b.Put(placeKey(line, id, disordered(k[1:])), value[:8]), b.Delete(bytes.Clone(p.Key))); err != nil {
			return false, err
		}
	}
	for line, more := range lines {
		key := append([]byte("X"), line...)
		count, err := readCount(b, key)
		if err != nil {
			return false, err
		}
		if err := b.Put(key, binary.BigEndian.AppendUint64(nil, count+more)); err != nil {
			return false, err
		}
	}
	if n < some {
		err = b.Put(versionKey, []byte{lineLayout})
	}
	return n < some, errors.Join(err, f.write(b))
}
