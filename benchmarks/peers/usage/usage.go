// Package usage tells what processor time and memory processes have used, by
// what the kernel of Linux keeps of them: this process, those that it started
// and waited for, and servers that still run.
package usage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Own returns the processor time of this process, and of all that it started
// and that have ended.
func Own() time.Duration {
	return rusage(syscall.RUSAGE_SELF) + rusage(syscall.RUSAGE_CHILDREN)
}

func rusage(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tick is the unit of times in /proc, the same on every machine.
const tick = time.Second / 100

// Tree returns the processor time of a process and of all below it, of those
// that have ended as well.
func Tree(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	sum, err := ticks(stat)
	if err != nil {
		return 0, fmt.Errorf("usage: process %d: %w", pid, err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	for field := range strings.FieldsSeq(string(children)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("usage: child %q of process %d: %w", field, pid, err)
		}
		below, err := Tree(child)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // one that has ended meanwhile counts to its parent the next time
			return 0, err
		}
		sum += below
	}
	return sum, nil
}

// ticks reads the times of a process and of its children that have ended. The
// name, which is in parentheses, may hold anything.
func ticks(stat []byte) (time.Duration, error) {
	const first, last = 11, 14 // utime, stime, cutime and cstime, counted from behind the name
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= last {
		return 0, fmt.Errorf("%q: want the fields of /proc/PID/stat", stat)
	}
	sum := time.Duration(0)
	for _, f := range fields[first : last+1] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// ResetPeak makes the kernel forget how much memory this process once had.
func ResetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// Peak returns the most memory that this process had resident since ResetPeak,
// or that any single one had that it started and that has ended, whichever is
// more.
func Peak() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
	return max(u.Maxrss<<10, peakOfSelf())
}

func peakOfSelf() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "\nVmHWM:")
	line, _, _ := strings.Cut(after, "kB")
	kib, _ := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return kib << 10
}
