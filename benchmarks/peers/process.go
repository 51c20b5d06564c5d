package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster/benchmarks/peers/side"
)

// stopTimeout is how long a process may take to stop its servers.
const stopTimeout = 40 * time.Second

// process does the work in a process of its own, on the first processors. It
// is told to stop when ctx ends or this process dies, and then stops its
// servers.
func process(ctx context.Context, w side.Work) (m side.Measure, err error) {
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	in, err := json.Marshal(w)
	if err != nil {
		return m, err
	}
	args := []string{self, doing}
	if w.Cores < runtime.NumCPU() {
		args = append([]string{"taskset", "-c", fmt.Sprintf("0-%d", w.Cores-1)}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", w.Cores))
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	runtime.LockOSThread() // Pdeathsig is about the thread, not the process
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("it took too long: %w", err)
		}
		return m, fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return m, json.Unmarshal(out.Bytes(), &m)
}
