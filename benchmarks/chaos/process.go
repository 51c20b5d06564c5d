//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/host"
)

// A process is an agent, in all its lives: it is started, killed and started
// again with the same name, addresses and data.
type process struct {
	name   string
	server bool
	host   *host.Host
	dir    string
	disk   *host.Disk // nil unless its data are on a disk of their own
	gossip string
	args   []string
	died   func(name string, how error) // called when a life ends that nobody ended

	mu   sync.Mutex
	life *life // nil while it is down; guarded by mu
}

// life is one process of the system.
type life struct {
	cmd   *exec.Cmd
	stdin io.Closer // whose end ends the process
	up    chan string
	ended chan struct{} // closed at the end
	how   error         // valid then
	meant bool          // somebody ended it; guarded by the process's mu
}

const (
	upTimeout   = 40 * time.Second // of a start
	stopTimeout = 40 * time.Second // of a stop in peace
)

// start starts the process if it is down, and returns the node's ID when it is
// up.
func (p *process) start(ctx context.Context) (id string, err error) {
	p.mu.Lock()
	l := p.life
	if l == nil {
		if l, err = p.spawn(); err != nil {
			p.mu.Unlock()
			return "", fmt.Errorf("agent %s: %w", p.name, err)
		}
		p.life = l
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	select {
	case id := <-l.up:
		l.up <- id // for whoever asks next
		return id, nil
	case <-l.ended:
		return "", fmt.Errorf("agent %s: ended before it was up: %w: %s", p.name, l.how, p.tail())
	case <-ctx.Done():
		return "", fmt.Errorf("agent %s: is not up: %w: %s", p.name, ctx.Err(), p.tail())
	}
}

func (p *process) spawn() (*life, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(p.logPath(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	l := &life{cmd: exec.Command(exe, append([]string{"agent"}, p.args...)...), up: make(chan string, 1), ended: make(chan struct{})}
	l.cmd.Stderr = log
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what interrupts us is not for it
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if l.stdin, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.host.Start(l.cmd); err != nil {
		return nil, err
	}
	go func() {
		p.listen(l, out)
		l.how = l.cmd.Wait()
		p.mu.Lock()
		meant := l.meant
		if p.life == l {
			p.life = nil
		}
		p.mu.Unlock()
		close(l.ended)
		if !meant {
			p.died(p.name, errors.Join(l.how, errors.New(p.tail())))
		}
	}()
	return l, nil
}

// listen hears what the agent says until it ends.
func (p *process) listen(l *life, out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), sayUp+" "); ok {
			l.up <- id
		}
	}
}

func (p *process) logPath() string { return filepath.Join(p.dir, "log.txt") }

// tail is the end of the log.
func (p *process) tail() string {
	b, err := os.ReadFile(p.logPath())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-600):])
}

// end ends the present life, if there is one, with a signal, and returns when
// it is over; after the timeout it kills it.
func (p *process) end(s syscall.Signal, timeout time.Duration) error {
	p.mu.Lock()
	l := p.life
	if l != nil {
		l.meant = true
	}
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	_ = l.cmd.Process.Signal(s) // it may be gone already
	select {
	case <-l.ended:
		return nil
	case <-time.After(timeout):
	}
	_ = l.cmd.Process.Kill()
	<-l.ended
	return fmt.Errorf("agent %s: did not end within %v of %v: %s", p.name, timeout, s, p.tail())
}

// kill ends the process at once.
func (p *process) kill() error { return p.end(syscall.SIGKILL, stopTimeout) }

// stop lets the process end in peace.
func (p *process) stop() error { return p.end(syscall.SIGTERM, stopTimeout) }

// pause stops the clock of the process, and resume starts it again.
func (p *process) pause() { p.signal(syscall.SIGSTOP) }

func (p *process) resume() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != nil {
		_ = p.life.cmd.Process.Signal(s) // it may be gone already
	}
}
