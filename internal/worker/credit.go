package worker

// Credit returns how many tasks of runs that have one each a master may have
// outstanding here: twice what the worker can execute at a time, or what it gets
// done in 200 ms if that is more, and at most 8192. It is zero while the worker
// takes no tasks. Like a Window it grows with what has been done.
func (w *Worker) Credit() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopping || w.resting != nil {
		return 0
	}
	least := 2 * w.cfg.Slots
	if w.pace == 0 {
		return min(least, maxWindow)
	}
	n := int64(w.cfg.Slots) * int64(horizon) / int64(w.pace)
	n = min(n, maxWindow, int64(least)+growth*(w.total.Done+w.total.Failed))
	return min(max(int(n), least), maxWindow)
}
