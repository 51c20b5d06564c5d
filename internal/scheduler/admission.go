// Package scheduler says what may begin, on the node that leads.
//
// It is pure: it is told what begins and ends, and answers. Who asks it, and
// what follows, is the node's business. When the node leads no more, what it
// knew is forgotten: the next leader begins with what the state says.
package scheduler

// Admission counts the runs that have begun and not ended, of each job and in
// all, and says whether another one may begin. It is not safe for use by
// several goroutines at once.
type Admission struct {
	max   int
	total int
	byJob map[string]int
}

// NewAdmission returns an Admission that lets at most max runs of all jobs go
// on at a time. Zero means any number.
func NewAdmission(max int) *Admission { return &Admission{max: max, byJob: map[string]int{}} }

// May reports whether one more run of job may begin, of which at most limit
// may go on at a time. A limit of zero means any number.
func (a *Admission) May(job string, limit int) bool {
	return a.Room() && (limit <= 0 || a.byJob[job] < limit)
}

// Room reports whether a run of some job may begin.
func (a *Admission) Room() bool { return a.max <= 0 || a.total < a.max }

// Begin counts a run of job that begins, whether it may or not.
func (a *Admission) Begin(job string) {
	a.total++
	a.byJob[job]++
}

// End counts a run of job that has ended.
func (a *Admission) End(job string) {
	a.total--
	if a.byJob[job]--; a.byJob[job] == 0 {
		delete(a.byJob, job)
	}
}

// Running returns how many runs of job go on, and how many of all jobs do.
func (a *Admission) Running(job string) (ofJob, total int) { return a.byJob[job], a.total }
