// Package ledger keeps what attempts did in files outside of the cluster, so
// that the cluster's own account can be checked against another.
//
// Each process appends to a file of its own. A line is written in one call
// before the attempt goes on, so a process that is killed loses none: what is
// in the kernel survives it. It is no proof against the loss of the machine.
package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/mapreduce"
)

// A Ledger is the file of one process. It is safe for use by many goroutines.
type Ledger struct {
	f    *os.File
	node string
	last atomic.Uint64 // number of the last attempt
}

// Open begins a file for this process and the node of the given name in dir.
func Open(dir, node string) (*Ledger, error) {
	name := fmt.Sprintf("%s-%d%s", node, time.Now().UnixNano(), extension)
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return &Ledger{f: f, node: node}, nil
}

const (
	extension = ".ledger"
	began     = 'b' // number, time, node, run, task, attempt
	ended     = 'e' // number, time, and the quoted error if there was one
)

// Begin notes that an attempt at t begins, and returns what notes its end. An
// attempt that can't be noted must not go on.
func (l *Ledger) Begin(t *mapreduce.Task) (end func(error) error, err error) {
	n := l.last.Add(1)
	line := l.line(began, n)
	line = append(append(line, ' '), l.node...)
	line = append(append(line, ' '), t.Run...)
	line = append(append(line, ' '), t.ID...)
	line = append(strconv.AppendInt(append(line, ' '), int64(t.Attempt), 10), '\n')
	if err := l.write(line); err != nil {
		return nil, err
	}
	return func(failure error) error {
		line := l.line(ended, n)
		if failure != nil {
			line = strconv.AppendQuote(append(line, ' '), failure.Error())
		}
		return l.write(append(line, '\n'))
	}, nil
}

func (l *Ledger) line(kind byte, n uint64) []byte {
	line := strconv.AppendUint(append(make([]byte, 0, 160), kind, ' '), n, 10)
	return strconv.AppendInt(append(line, ' '), time.Now().UnixNano(), 10)
}

func (l *Ledger) write(line []byte) error {
	if _, err := l.f.Write(line); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// Close closes the file.
func (l *Ledger) Close() error { return l.f.Close() }
