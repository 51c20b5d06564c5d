package state

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/musterhq/muster/internal/store"
)

// obstacles is what is asked for each run that comes, whether it may begin, and
// mostly is not there: the jobs that are paused, and runs that wait. So it is in
// memory, written by the goroutine that applies.
type obstacles struct {
	mu     sync.RWMutex
	paused map[jobName]bool // guarded by mu
	queued uint64           // how many runs wait for a master; guarded by mu
}

// isPaused reports whether a job is paused.
func (o *obstacles) isPaused(j jobName) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.paused[j]
}

// anyQueued reports whether any run waits for a master.
func (o *obstacles) anyQueued() bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.queued > 0
}

// take takes in what a change has come to.
func (o *obstacles) take(paused map[jobName]bool, counts map[string]uint64) {
	n, counted := counts[string(allQueuedKey)]
	if len(paused) == 0 && !counted {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if counted {
		o.queued = n
	}
	for j, is := range paused {
		if is {
			o.paused[j] = true
		} else {
			delete(o.paused, j)
		}
	}
}

// load reads them from the store.
func (o *obstacles) load(v *store.Snapshot) (err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queued, err = readCount(v, allQueuedKey); err != nil {
		return err
	}
	o.paused = map[jobName]bool{}
	for p, err := range v.Scan([]byte("P")) {
		if err != nil {
			return err
		}
		names := bytes.Split(p.Key[1:], []byte{0})
		if len(names) != 3 {
			return fmt.Errorf("state: record %q of a pause: %w", p.Key, store.ErrCorrupt)
		}
		o.paused[jobName{string(names[0]), string(names[1])}] = true
	}
	return nil
}
