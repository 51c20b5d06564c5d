package server

import (
	"bytes"
	"sync"
)

// log keeps the end of what a server says.
type log struct {
	mu  sync.Mutex
	end []byte // guarded by mu
}

const logBytes = 2000

// Write keeps what is new.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, b...)
	if over := len(l.end) - logBytes; over > 0 {
		l.end = append(l.end[:0], l.end[over:]...)
	}
	return len(b), nil
}

// String returns the end of what the server said.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.TrimSpace(l.end))
}
