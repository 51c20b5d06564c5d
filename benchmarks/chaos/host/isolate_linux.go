package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

const (
	inside   = "MUSTER_CHAOS_ISOLATED" // the variable that tells a process that it is
	unableTo = 125                     // the exit code of one that could not do with that
)

var isolated bool

// Isolated reports whether hosts are apart from each other.
func Isolated() bool { return isolated }

// Isolate starts the program again in namespaces of its own: network, mounts,
// processes and, unless this is root, users. It returns the exit code when
// that has ended, or an error if it can't be done, upon which the caller goes
// on without. In the program that was started it returns at once, as over
// false.
//
// It is for the beginning of main.
func Isolate() (code int, over bool, err error) {
	if os.Getenv(inside) != "" {
		if err := settle(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n", err)
			return unableTo, true, nil
		}
		isolated = true
		return 0, false, nil
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return 0, false, fmt.Errorf("host: %w: install iproute2", err)
	}
	// The kernel kills the child when the thread ends that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), inside+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if uid := os.Geteuid(); uid != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		return 0, false, fmt.Errorf("%w: %w", ErrNot, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = c.Process.Signal(s) // it may be gone already
		case err := <-ended:
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				return 0, true, fmt.Errorf("host: %w", err)
			}
			if code = c.ProcessState.ExitCode(); code == unableTo {
				return 0, false, fmt.Errorf("%w: see above", ErrNot)
			}
			if code < 0 {
				code = 1
			}
			return code, true, nil
		}
	}
}

// settle makes the namespaces a place to live in, and finds out whether they
// are.
func settle() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("host: mounts of our own: %w", err)
	}
	// Not everywhere is it allowed, and only convenient.
	_ = syscall.Mount("proc", "/proc", "proc", 0, "")
	base, err := thisSpace()
	if err != nil {
		return err
	}
	defer base.close()
	other, err := newSpace()
	if err != nil {
		return err
	}
	defer other.close()
	return base.ip(other, "link set lo up", "link add name trial type bridge", "link del trial",
		"link add name trial type veth peer name eth0 netns "+there, "link del trial")
}
