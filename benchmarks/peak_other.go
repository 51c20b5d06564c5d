//go:build !linux

package benchmarks

import "runtime"

// resetPeak does nothing where the peak can't be reset.
func resetPeak() {}

// peakBytes returns what the runtime has taken from the system: it gives
// little of that back, so this is near the peak.
func peakBytes() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}
