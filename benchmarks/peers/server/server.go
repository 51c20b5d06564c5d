// Package server starts the servers that peers need, and stops them: each on
// loopback, on a free port, in a directory of its own, and by its process ID.
//
// A server does not outlive the process that started it: it is told to stop
// when that one stops it or dies, and is killed when it does not obey.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second // until it is killed
	askEvery     = 10 * time.Millisecond
)

// A Server is one that runs.
type Server struct {
	// Addr is where it listens.
	Addr string
	// Command is how it was started, but for its directory and port.
	Command string

	process *os.Process
	quit    os.Signal
	exited  chan struct{} // closed when it has ended
	log     *log
}

// command is a server to start.
type command struct {
	path string
	args func(port string) []string
	show string
	dir  string
	as   *syscall.Credential
	quit syscall.Signal // asks it to stop at once and in order
	// ready returns nil when it answers on addr.
	ready func(ctx context.Context, addr string) error
}

// start starts a server and returns when it answers. Another process may take
// the port before the server does, so it is tried thrice.
func start(ctx context.Context, c command) (s *Server, err error) {
	for range 3 {
		var port string
		if port, err = freePort(); err != nil {
			return nil, err
		}
		if s, err = startOn(ctx, c, port); err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("server: %s: %w", filepath.Base(c.path), err)
}

func startOn(ctx context.Context, c command, port string) (*Server, error) {
	cmd := exec.Command(c.path, c.args(port)...)
	cmd.Dir = c.dir
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", port), Command: c.show, quit: c.quit, exited: make(chan struct{}), log: &log{}}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	// A terminal that sends an interrupt must not send it here: the server is
	// stopped when what it was started for has been wound up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: c.quit, Credential: c.as}
	began := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is about the thread, not the process
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		began <- err
		if err == nil {
			_ = cmd.Wait() // what it has to say is in its log
			close(s.exited)
		}
	}()
	if err := <-began; err != nil {
		return nil, err
	}
	s.process = cmd.Process
	if err := s.await(ctx, c.ready); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) await(ctx context.Context, ready func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := ready(ctx, s.Addr)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("it ended instead of answering: %s", s.log)
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w: %s", err, s.log)
		case <-time.After(askEvery):
		}
	}
}

// PID is the process that the server's others are below.
func (s *Server) PID() int { return s.process.Pid }

// Stop ends the server and returns when it has ended.
func (s *Server) Stop() error {
	_ = s.process.Signal(s.quit) // one that has ended needs none
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopTimeout):
	}
	_ = s.process.Kill()
	<-s.exited
	return fmt.Errorf("server: process %d did not stop within %v and was killed: %s", s.PID(), stopTimeout, s.log)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// unprivileged returns whom a server runs as that refuses to be root's: nil if
// this process is not root's either, else the first of names that there is.
func unprivileged(names ...string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("server: root may not run it, and there is none of the users %s: add one of them", strings.Join(names, ", "))
}
