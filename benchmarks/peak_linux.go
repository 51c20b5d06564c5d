package benchmarks

import (
	"os"
	"strconv"
	"strings"
)

// resetPeak makes the kernel forget how much memory the process once had:
// getrusage would give the most since its start, or that of the process that
// started it. Where this is not allowed the peak is since the start.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peakBytes returns the most memory that was resident since resetPeak.
func peakBytes() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "\nVmHWM:")
	line, _, _ := strings.Cut(after, "kB")
	kib, _ := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return kib << 10
}
