package state

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// watchdog notices a disk that does not answer. Raft does not: a leader whose
// disk hangs would go on to say that it leads, and nobody else would. While
// the disk hangs this server says nothing as a leader and grants nothing, so
// that the others elect; when it is back the server follows by itself.
type watchdog struct {
	after  time.Duration // how long a write may take
	log    *slog.Logger
	turned chan struct{} // gets a value when stuck changes
	fault  func() error  // what a test does to each write; nil is nothing

	mu      sync.Mutex
	overdue int // writes in flight for longer than that; guarded by mu
	stuck   atomic.Bool
}

func newWatchdog(after time.Duration, log *slog.Logger) *watchdog {
	return &watchdog{after: after, log: log, turned: make(chan struct{}, 1)}
}

// write runs f, which writes to the disk once.
func (w *watchdog) write(f func() error) error {
	return w.watch(func() error {
		if w.fault != nil {
			if err := w.fault(); err != nil {
				return err
			}
		}
		return f()
	})
}

// watch runs f, which does not end before something is on the disk.
func (w *watchdog) watch(f func() error) error {
	bark := &overdue{w: w}
	timer := time.AfterFunc(w.after, bark.begin)
	defer func() {
		timer.Stop()
		bark.end()
	}()
	return f()
}

// overdue is one write that takes too long.
type overdue struct {
	w            *watchdog
	began, ended bool // guarded by w.mu
}

func (o *overdue) begin() {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	if o.ended {
		return
	}
	o.began = true
	if o.w.overdue++; o.w.overdue == 1 {
		o.w.log.Error("the disk does not answer; this server does not lead until it does", slog.Duration("for", o.w.after))
		o.w.turnLocked(true)
	}
}

func (o *overdue) end() {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	o.ended = true
	if !o.began {
		return
	}
	if o.w.overdue--; o.w.overdue == 0 {
		o.w.log.Warn("the disk answers again")
		o.w.turnLocked(false)
	}
}

func (w *watchdog) turnLocked(stuck bool) {
	w.stuck.Store(stuck)
	select {
	case w.turned <- struct{}{}:
	default:
	}
}
