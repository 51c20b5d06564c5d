package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Pause says that no run of a job is to begin, since when and why. The state
// records that; whoever begins runs heeds it.
type Pause struct {
	Namespace, Job string
	At             time.Time
	Reason         string
}

// PauseJob records that no run of a job is to begin, whether the job is
// declared or not. Of a job that is paused already the first reason stays, so
// it may be repeated.
func (s *State) PauseJob(ctx context.Context, namespace, name, reason string) error {
	if namespace == "" {
		namespace = defaultNamespace
	}
	if err := checkJob(namespace, name); err != nil {
		return err
	}
	_, err := s.propose(ctx, &wire.PauseJob{Namespace: namespace, Name: name, Reason: cut(reason, maxReason), At: s.now().UnixNano()})
	return err
}

// ResumeJob takes PauseJob back. A job that is not paused stays as it is, so
// it may be repeated.
func (s *State) ResumeJob(ctx context.Context, namespace, name string) error {
	if namespace == "" {
		namespace = defaultNamespace
	}
	if err := checkJob(namespace, name); err != nil {
		return err
	}
	_, err := s.propose(ctx, &wire.ResumeJob{Namespace: namespace, Name: name, At: s.now().UnixNano()})
	return err
}

// Paused returns the pause of a job, and whether it has one.
func (s *State) Paused(namespace, name string) (Pause, bool, error) {
	if namespace == "" {
		namespace = defaultNamespace
	}
	v, err := s.view()
	if err != nil {
		return Pause{}, false, err
	}
	defer v.Close()
	return readPause(v, namespace, name)
}

// IsPaused reports whether a job is paused. It costs nothing to speak of.
func (s *State) IsPaused(namespace, name string) bool {
	return s.fsm.obstacles.isPaused(jobName{namespace, name})
}

func readPause(g getter, namespace, name string) (Pause, bool, error) {
	key := pauseKey(namespace, name)
	b, err := g.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return Pause{}, false, nil
	}
	if err != nil {
		return Pause{}, false, err
	}
	p, err := decodePause(key, b)
	return p, err == nil, err
}

// Pauses returns the jobs that are paused, in the order of namespace and name.
func (s *State) Pauses() ([]Pause, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var all []Pause
	for p, err := range v.Scan([]byte("P")) {
		if err != nil {
			return nil, err
		}
		pause, err := decodePause(p.Key, p.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, pause)
	}
	return all, nil
}

func (tx *change) pause(c *wire.PauseJob) (result, error) {
	key := pauseKey(c.Namespace, c.Name)
	switch _, err := tx.batch.Get(key); {
	case err == nil:
		return result{}, nil
	case !errors.Is(err, store.ErrNotFound):
		return result{}, err
	}
	js, err := tx.job(c.Namespace, c.Name)
	if err != nil {
		return result{}, err
	}
	if js != nil {
		if err := tx.withdraw(jobName{c.Namespace, c.Name}, js); err != nil {
			return result{}, err
		}
		js.PausedAt = max(c.At, js.ResumedAt+1) // a clock that went back is no resumption
		js.Seq++
		if err := tx.wakeAt(c.Namespace, c.Name, js, 0); err != nil {
			return result{}, err
		}
	}
	tx.paused[jobName{c.Namespace, c.Name}] = true
	tx.showJob(jobName{c.Namespace, c.Name}, job.JobPaused, c.Reason, 0)
	return result{}, tx.batch.Put(key, binary.BigEndian.AppendUint64(nil, uint64(c.At)), []byte(cut(c.Reason, maxReason)))
}

func (tx *change) resume(c *wire.ResumeJob) (result, error) {
	js, err := tx.job(c.Namespace, c.Name)
	if err != nil {
		return result{}, err
	}
	if js != nil && js.PausedAt > js.ResumedAt {
		js.ResumedAt = max(c.At, js.PausedAt+1)
		js.Seq++
		if err := errors.Join(tx.wakeAt(c.Namespace, c.Name, js, js.ResumedAt), tx.reopen(jobName{c.Namespace, c.Name}, js)); err != nil {
			return result{}, err
		}
	}
	key := pauseKey(c.Namespace, c.Name)
	switch _, err := tx.batch.Get(key); {
	case errors.Is(err, store.ErrNotFound):
		return result{}, nil
	case err != nil:
		return result{}, err
	}
	tx.paused[jobName{c.Namespace, c.Name}] = false
	tx.showJob(jobName{c.Namespace, c.Name}, job.JobResumed, "", 0)
	return result{}, tx.batch.Delete(key)
}

func decodePause(key, b []byte) (Pause, error) {
	names := bytes.Split(key[1:], []byte{0})
	if len(names) != 3 || len(b) < 8 {
		return Pause{}, fmt.Errorf("state: record %q of a pause has %d bytes: %w", key, len(b), store.ErrCorrupt)
	}
	return Pause{
		Namespace: string(names[0]), Job: string(names[1]),
		At: timeOf(int64(binary.BigEndian.Uint64(b))), Reason: string(b[8:]),
	}, nil
}
