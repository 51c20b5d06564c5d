package state

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/store"
)

// disk is what a test does to the disk of one server.
type disk struct {
	mu    sync.Mutex
	full  bool          // guarded by mu
	scant bool          // guarded by mu: there is room, but too little
	hangs chan struct{} // guarded by mu: writes wait until it is closed
}

func (d *disk) set(change func(d *disk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *disk) fault() error {
	d.mu.Lock()
	hangs, full := d.hangs, d.full
	d.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	if full {
		return fmt.Errorf("%w: %w", store.ErrFull, syscall.ENOSPC)
	}
	return nil
}

func (d *disk) Room(int64, int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full || d.scant {
		return store.ErrFull
	}
	return nil
}

func (d *disk) Reserve() int64 { return 1 << 30 }

// withDisks gives each server a disk that can be broken.
func (c *servers) withDisks() map[string]*disk {
	disks := map[string]*disk{"a": {}, "b": {}, "c": {}}
	c.each = func(id string, cfg *Config) { cfg.fault, cfg.space = disks[id].fault, disks[id] }
	return disks
}

func TestLeaderWhoseDiskHangsIsSucceeded(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		disks := c.withDisks()
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		hangs := make(chan struct{})
		disks[string(s.id)].set(func(d *disk) { d.hangs = hangs })
		begin := time.Now()
		if err := s.Append(t.Context(), id, 1, 0, blobs("x")); !errors.Is(err, ErrUncertain) {
			t.Fatalf("got %v from a disk that hangs, want %v", err, ErrUncertain)
		}
		refused(t, s.Append(t.Context(), id, 1, 0, blobs("x")), ErrNotLeader)
		next := c.leader(c.others(s)...)
		if took := time.Since(begin); took > 6*time.Second {
			t.Errorf("it took %v for another to lead", took)
		}
		must(t, next.Append(t.Context(), id, 1, 0, blobs("y")))
		if got := s.Leader(); got == string(s.id) {
			t.Error("a server whose disk hangs says that it leads")
		}
		disks[string(s.id)].set(func(d *disk) { d.hangs = nil })
		close(hangs)
		c.same(next)
		if got := journal(t, s.State, id, 0); len(got) != 1 || got[0] != "y" {
			t.Fatalf("got journal %q, want what was acknowledged", got)
		}
		c.await(s, "it follows", func() bool { return s.Leader() == string(next.id) })
	})
}

func TestLeaderWhoseDiskIsFullHandsOver(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		disks := c.withDisks()
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		scant := c.others(s)[0] // has too little to take over
		disks[scant].set(func(d *disk) { d.scant = true })
		disks[string(s.id)].set(func(d *disk) { d.scant = true })
		refused(t, s.Append(t.Context(), id, 1, 0, blobs("x")), ErrFull)
		next := c.leader(c.others(s)...)
		if string(next.id) == scant {
			t.Fatal("a server without room was given the lead")
		}
		must(t, next.Append(t.Context(), id, 1, 0, blobs("x")))
		disks[string(s.id)].set(func(d *disk) { d.scant = false })
		must(t, next.Transfer(t.Context()))
		c.same(c.leader())
	})
}

func TestFullDiskOfAllRefusesAndRecovers(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		disks := c.withDisks()
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		for _, d := range disks {
			d.set(func(d *disk) { d.scant = true })
		}
		pass(10 * time.Second)
		refused(t, s.Append(t.Context(), id, 1, 0, blobs("x")), ErrFull)
		must(t, s.Read(t.Context(), func() error { _, err := s.Run(id); return err }))
		for _, d := range disks {
			d.set(func(d *disk) { d.scant = false })
		}
		must(t, s.Append(t.Context(), id, 1, 0, blobs("x")))
		c.same(s)
	})
}

// Not even a disk that takes nothing at all ends a server: it goes on by
// itself when there is room.
func TestDiskWithoutRoomForAPromiseEndsNothing(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		disks := c.withDisks()
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		full := c.others(s)[0]
		disks[full].set(func(d *disk) { d.full = true })
		for i := range uint64(5) {
			must(t, s.Append(t.Context(), id, 1, i, blobs("x")))
		}
		must(t, s.Transfer(t.Context())) // in a new term, which it can't write
		next := c.leader()
		must(t, next.Append(t.Context(), id, 1, 5, blobs("y")))
		pass(time.Minute)
		disks[full].set(func(d *disk) { d.full = false })
		c.same(next)

		disks[string(next.id)].set(func(d *disk) { d.full = true })
		pass(5 * time.Second)
		last := c.leader(c.others(next)...)
		must(t, last.Append(t.Context(), id, 1, 6, blobs("z")))
		disks[string(next.id)].set(func(d *disk) { d.full = false })
		c.same(last)
	})
}

func TestServerThatCantCarryOutTheLogDoesNotLead(t *testing.T) {
	simulated(t, func(t *testing.T, c *servers) {
		c.found("a", "b", "c")
		s := c.leader()
		id := created(t, s.State, "d/j@1")
		_ = s.fsm.fail(errors.New("damage"))
		next := c.leader(c.others(s)...)
		must(t, next.Append(t.Context(), id, 1, 0, blobs("x")))
	})
}
