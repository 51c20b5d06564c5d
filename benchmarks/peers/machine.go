package main

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/musterhq/muster/benchmarks/peers/report"
)

// machine says what the figures depend on.
func machine(o options, dir string) report.Machine {
	memory, _, _ := strings.Cut(field("/proc/meminfo", "MemTotal"), " ")
	size, _ := strconv.ParseInt(memory, 10, 64)
	load := strings.Fields(read("/proc/loadavg") + " unknown")
	return report.Machine{
		CPU: field("/proc/cpuinfo", "model name"), CPUs: runtime.NumCPU(), Cores: o.cores, Memory: size << 10,
		System: strings.Trim(field("/etc/os-release", "PRETTY_NAME"), `"`) + ", Linux " + strings.TrimSpace(read("/proc/sys/kernel/osrelease")),
		Disk:   fileSystem(dir), Go: runtime.Version(), Load: load[0], Nodes: o.nodes, Servers: o.servers,
	}
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// field returns what a file has behind a name and a colon or an equals sign.
func field(path, name string) string {
	for line := range strings.Lines(read(path)) {
		if key, value, ok := strings.Cut(strings.Replace(line, "=", ":", 1), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func fileSystem(dir string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "an unknown file system"
	}
	switch uint32(s.Type) {
	case 0xef53:
		return "ext4"
	case 0x58465342:
		return "xfs"
	case 0x9123683e:
		return "btrfs"
	case 0x01021994:
		return "tmpfs"
	case 0x794c7630:
		return "overlayfs"
	}
	return "a file system of type " + strconv.FormatUint(uint64(uint32(s.Type)), 16)
}

// commit is which state of muster is measured.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "an unknown commit"
	}
	return strings.TrimSpace(string(out))
}

// libraries are the versions of those that are linked.
func libraries() map[string]string {
	versions := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, m := range info.Deps {
		switch m.Path {
		case "github.com/hibiken/asynq":
			versions["asynq"] = m.Version
		case "github.com/riverqueue/river":
			versions["River"] = m.Version
		}
	}
	return versions
}
