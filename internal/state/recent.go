package state

import "github.com/musterhq/muster/internal/wire"

// recentBytes bounds what the statuses of jobs take that are kept in memory,
// about.
const recentBytes = 16 << 20

// recent has the statuses of jobs that were looked at last, as they are in the
// store: that of a job whose fire makes a run is looked at again when that is
// over. Those that it has for longest are forgotten half at a time. Only the
// goroutine that applies uses it, and may change what it gets: what it writes
// then is what it keeps.
type recent struct {
	young, old map[jobName]*wire.JobStatus
	bytes      int // of the young
}

// get returns the status of a job, or nil if it has none.
func (r *recent) get(j jobName) *wire.JobStatus {
	if js := r.young[j]; js != nil {
		return js
	}
	return r.old[j]
}

// put takes in the status that a job has now, nil if it has none.
func (r *recent) put(j jobName, js *wire.JobStatus) {
	if js == nil {
		delete(r.young, j)
		delete(r.old, j)
		return
	}
	if _, again := r.young[j]; !again {
		r.bytes += jobSize(j, js)
	}
	if r.young == nil || r.bytes > recentBytes/2 {
		r.young, r.old, r.bytes = map[jobName]*wire.JobStatus{}, r.young, jobSize(j, js)
	}
	r.young[j] = js
}
