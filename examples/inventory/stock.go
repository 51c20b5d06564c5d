package main

import (
	"maps"
	"sync"
)

// stock is what a sync found, and stands for your database. Adding is not safe
// to do twice, so it remembers under which keys it has. A database does that
// with a unique index, in the transaction that adds.
type stock struct {
	mu      sync.Mutex
	units   map[string]int  // by SKU; guarded by mu
	done    map[string]bool // by key; guarded by mu
	repeats int             // additions that were made before; guarded by mu
}

func newStock() *stock { return &stock{units: map[string]int{}, done: map[string]bool{}} }

// Add adds units of a SKU, unless it has done so under this key.
func (s *stock) Add(key, sku string, units int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key += "/" + sku; s.done[key] {
		s.repeats++
		return
	}
	s.done[key] = true
	s.units[sku] += units
}

// Found returns the units of each SKU, and how many additions were made again.
func (s *stock) Found() (units map[string]int, repeats int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.units), s.repeats
}
