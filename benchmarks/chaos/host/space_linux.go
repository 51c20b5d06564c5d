package host

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// space is a network namespace. It is there as long as the file is open. The
// zero value is the one that the process is in.
type space struct{ f *os.File }

// thisSpace returns the namespace of the calling thread.
func thisSpace() (space, error) {
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return space{}, fmt.Errorf("host: %w", err)
	}
	return space{f}, nil
}

// newSpace makes a namespace.
func newSpace() (s space, err error) {
	base, err := thisSpace()
	if err != nil {
		return space{}, err
	}
	defer base.close()
	return s, base.do(func() (err error) {
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			return fmt.Errorf("host: a network of its own: %w", err)
		}
		s, err = thisSpace()
		if back := base.enter(); back != nil {
			panic(back) // this thread would be somewhere else than all others
		}
		return err
	})
}

// do calls f in the namespace. What f opens and starts stays there.
func (s space) do(f func() error) error {
	if s.f == nil {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	base, err := thisSpace()
	if err != nil {
		return err
	}
	defer base.close()
	if err := s.enter(); err != nil {
		return err
	}
	defer func() {
		if err := base.enter(); err != nil {
			panic(err) // this thread would be somewhere else than all others
		}
	}()
	return f()
}

// setns is the number of the system call, which package syscall lacks for some.
var setns = map[string]uintptr{"amd64": 308, "386": 346, "arm": 375, "arm64": 268, "riscv64": 268, "loong64": 268, "ppc64le": 350, "s390x": 339}

func (s space) enter() error {
	n, ok := setns[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("host: setns is not known for %s", runtime.GOARCH)
	}
	if _, _, e := syscall.Syscall(n, s.f.Fd(), syscall.CLONE_NEWNET, 0); e != 0 {
		return fmt.Errorf("host: setns: %w", e)
	}
	return nil
}

func (s space) close() {
	if s.f != nil {
		_ = s.f.Close() // it was only held
	}
}

// there is the name of the other namespace in the lines that ip is given.
const there = "/proc/self/fd/3"

// ip has ip(8) do what the lines say, in the namespace.
func (s space) ip(other space, lines ...string) error {
	if len(lines) == 0 {
		return nil
	}
	c := exec.Command("ip", "-batch", "-")
	c.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if other.f != nil {
		c.ExtraFiles = []*os.File{other.f}
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := s.do(c.Start)
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		return fmt.Errorf("host: ip %q: %w: %s", lines, err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}
