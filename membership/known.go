package membership

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	knownFile  = "peers.json"
	maxKnown   = 256                 // members remembered, the last seen ones
	maxFile    = 1 << 20             // bytes of the file that are read
	forgetting = 30 * 24 * time.Hour // after which a member is not dialled any more
	refreshing = 12 * time.Hour      // how old the time may be at which one that is here was seen
)

// known is what a node remembers from one life to the next: the members it
// last saw and the number of its life.
type known struct {
	path string // "" keeps it in memory only

	mu    sync.Mutex
	file  knownState // guarded by mu
	dirty bool       // guarded by mu
}

type knownState struct {
	Version     int    `json:"version"`
	Incarnation uint64 `json:"incarnation"`
	Peers       []peer `json:"peers"`
}

type peer struct {
	ID   string    `json:"id"`
	Addr string    `json:"addr"`
	Seen time.Time `json:"seen"`
}

// loadKnown reads what dir remembers. A file that cannot be read as such is no
// loss, only a slower start: err says so and the result is usable.
func loadKnown(dir string) (k *known, err error) {
	k = &known{}
	if dir == "" {
		return k, nil
	}
	k.path = filepath.Join(dir, knownFile)
	f, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return k, fmt.Errorf("membership: last known members: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	var s knownState
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err == nil && s.Version != 1 {
		err = fmt.Errorf("version %d, want 1", s.Version)
	}
	if err != nil {
		return k, fmt.Errorf("membership: last known members in %q: %w", k.path, err)
	}
	s.Peers = slices.DeleteFunc(s.Peers, func(p peer) bool {
		_, _, err := hostPort(p.Addr)
		return err != nil || checkID(p.ID) != nil
	})
	s.Peers = s.Peers[:min(len(s.Peers), maxKnown)]
	k.file = s
	return k, nil
}

// begin numbers a life that starts at now, later than any before it even if
// the clock went back, and writes that down.
func (k *known) begin(now time.Time) (uint64, error) {
	k.mu.Lock()
	k.file.Incarnation = max(uint64(now.UnixNano()), k.file.Incarnation+1)
	n := k.file.Incarnation
	k.dirty = true
	k.mu.Unlock()
	return n, k.save()
}

// see records who is here now and reports whether there is something to save.
// The time of those who stay is written down twice a day and not each time.
// When there is no room for a new one it takes the place of the one that has
// been away for longest; if nobody is away it is not recorded.
func (k *known) see(members []Member, self string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	isNew := make(map[string]bool, len(members))
	byID := make(map[string]Member, len(members))
	for _, m := range members {
		isNew[m.ID], byID[m.ID] = m.ID != self, m
	}
	var away []int // indexes of peers
	for i := range k.file.Peers {
		p := &k.file.Peers[i]
		m, here := byID[p.ID]
		isNew[p.ID] = false
		switch {
		case !here:
			away = append(away, i)
		case p.Addr != m.Addr || now.Sub(p.Seen) >= refreshing:
			p.Addr, p.Seen = m.Addr, now.UTC()
			k.dirty = true
		}
	}
	slices.SortFunc(away, func(a, b int) int { return k.file.Peers[a].Seen.Compare(k.file.Peers[b].Seen) })
	for _, m := range members {
		if !isNew[m.ID] {
			continue
		}
		p := peer{ID: m.ID, Addr: m.Addr, Seen: now.UTC()}
		switch {
		case len(k.file.Peers) < maxKnown:
			k.file.Peers = append(k.file.Peers, p)
		case len(away) > 0:
			k.file.Peers[away[0]], away = p, away[1:]
		default:
			continue
		}
		k.dirty = true
	}
	return k.dirty && k.path != ""
}

// peers returns the members that may still be about.
func (k *known) peers(now time.Time) []peer {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []peer
	for _, p := range k.file.Peers {
		if now.Sub(p.Seen) < forgetting {
			out = append(out, p)
		}
	}
	return out
}

// disown forgets all members, and remembers none from then on.
func (k *known) disown() error {
	k.mu.Lock()
	k.file.Peers, k.dirty = nil, true
	k.mu.Unlock()
	err := k.save()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.path = ""
	return err
}

// save writes what changed.
func (k *known) save() error {
	k.mu.Lock()
	if !k.dirty || k.path == "" {
		k.mu.Unlock()
		return nil
	}
	k.dirty = false
	k.file.Version = 1
	path := k.path
	b, err := json.MarshalIndent(k.file, "", "\t")
	k.mu.Unlock()
	if err == nil {
		err = replaceFile(path, append(b, '\n'))
	}
	if err != nil {
		k.mu.Lock()
		k.dirty = true
		k.mu.Unlock()
		return fmt.Errorf("membership: remember the members in %q: %w", path, err)
	}
	return nil
}
