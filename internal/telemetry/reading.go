package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// The names of the metrics that are looked up whenever somebody collects them.
const (
	MetricMembers         = "muster.members"
	MetricLeader          = "muster.leader"
	MetricRunsWaiting     = "muster.runs.waiting"
	MetricRunsRunning     = "muster.runs.running"
	MetricRunsConducted   = "muster.runs.conducted"
	MetricTasksQueued     = "muster.tasks.queued"
	MetricAttemptsRunning = "muster.attempts.running"
	MetricSlots           = "muster.slots"
	MetricClockSkew       = "muster.clock.skew"
	MetricDiskFree        = "muster.disk.free"
	MetricDiskSize        = "muster.disk.size"
	MetricLogLines        = "muster.log.lines"
	MetricLogDropped      = "muster.log.lines.dropped"
)

// Reading is what a node shows of itself at one moment.
type Reading struct {
	// Members is how many there are, as the node sees it.
	Members int
	// Leads is whether it leads; then Waiting and Running are the runs of the
	// cluster that have not begun and that have.
	Leads            bool
	Waiting, Running int
	// Conducted is how many runs it is the master of.
	Conducted int
	// Slots is how many attempts it executes at a time, Executing how many it
	// does, and Queued how many tasks wait for that.
	Slots, Executing, Queued int
	// Ahead is how far its clock is ahead of the leader's.
	Ahead time.Duration
	// Free and Size are bytes of the disk that it keeps its data on. A Size of
	// 0 says that they are not known.
	Free, Size int64
	// Lines is how many lines tasks have logged on it, and Dropped how many of
	// them are lost.
	Lines, Dropped int64
}

// Watch has look called whenever somebody collects, at any time and from any
// goroutine, until stop returns.
func (m *Metrics) Watch(look func() Reading) (stop func() error, err error) {
	if m == nil {
		return func() error { return nil }, nil
	}
	k := maker{meter: m.meter}
	members := k.gauge(MetricMembers, "{member}", "Members of the cluster, as this node sees it.")
	leader := k.gauge(MetricLeader, "{leader}", "1 if this node leads, else 0.")
	waiting := k.gauge(MetricRunsWaiting, "{run}", "Runs of the cluster that have not begun, as the leader counts them.")
	running := k.gauge(MetricRunsRunning, "{run}", "Runs of the cluster that have begun and not ended, as the leader counts them.")
	conducted := k.gauge(MetricRunsConducted, "{run}", "Runs that this node is the master of.")
	queued := k.gauge(MetricTasksQueued, "{task}", "Tasks that wait on this node for a slot.")
	executing := k.gauge(MetricAttemptsRunning, "{attempt}", "Attempts that this node executes.")
	slots := k.gauge(MetricSlots, "{slot}", "Attempts that this node executes at a time at most.")
	skew := k.seconds(MetricClockSkew, "How far the clock of this node is ahead of the leader's.")
	free := k.gauge(MetricDiskFree, "By", "Bytes that are free on the disk with the node's data.")
	size := k.gauge(MetricDiskSize, "By", "Bytes that the disk with the node's data has.")
	lines := k.total(MetricLogLines, "{line}", "Lines that tasks have logged on this node.")
	dropped := k.total(MetricLogDropped, "{line}", "Lines that tasks have logged on this node and that are lost.")
	if k.err != nil {
		return nil, k.err
	}
	registered, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		r := look()
		o.ObserveInt64(members, int64(r.Members))
		o.ObserveInt64(conducted, int64(r.Conducted))
		o.ObserveInt64(queued, int64(r.Queued))
		o.ObserveInt64(executing, int64(r.Executing))
		o.ObserveInt64(slots, int64(r.Slots))
		o.ObserveFloat64(skew, r.Ahead.Seconds())
		o.ObserveInt64(lines, r.Lines)
		o.ObserveInt64(dropped, r.Dropped)
		if r.Size > 0 {
			o.ObserveInt64(free, r.Free)
			o.ObserveInt64(size, r.Size)
		}
		if !r.Leads {
			o.ObserveInt64(leader, 0)
			return nil
		}
		o.ObserveInt64(leader, 1)
		o.ObserveInt64(waiting, int64(r.Waiting))
		o.ObserveInt64(running, int64(r.Running))
		return nil
	}, members, leader, waiting, running, conducted, queued, executing, slots, skew, free, size, lines, dropped)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	return registered.Unregister, nil
}
