package state

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
)

// identity is which cluster this server is part of. Until its first leader has
// given it an ID a cluster is told from others by its founders, the servers
// that it began with. Once known neither changes for as long as the directory
// lives, so a server never takes part in two clusters, whoever asks it to.
type identity struct {
	self string
	save func(key, value []byte) error

	mu       sync.Mutex
	cluster  string // guarded by mu
	founders string // guarded by mu
}

// identityKey is where the log's file has both, apart by a space.
var identityKey = []byte("muster/cluster")

func (id *identity) load(log *store.Log) error {
	b, err := log.Value(identityKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	id.mu.Lock()
	defer id.mu.Unlock()
	id.cluster, id.founders, _ = strings.Cut(string(b), " ")
	return nil
}

func (id *identity) get() (cluster, founders string) {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.cluster, id.founders
}

// check refuses what comes from a server of another cluster.
func (id *identity) check(from, cluster, founders string) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.checkLocked(from, cluster, founders)
}

func (id *identity) checkLocked(from, cluster, founders string) error {
	theirs, ours := cluster, id.cluster
	if theirs == "" || ours == "" {
		theirs, ours = founders, id.founders
		if theirs != "" && ours != "" && theirs != ours {
			theirs, ours = "the one founded as "+theirs, "the one founded as "+ours
		}
	}
	if theirs == "" || ours == "" || theirs == ours {
		return nil
	}
	return fmt.Errorf("%w: server %q is part of cluster %s and server %q of cluster %s, and two clusters are never merged: "+
		"check where they join, or remove the state of the one that is to join the other", ErrOtherCluster, from, theirs, id.self, ours)
}

// adopt makes this server part of the cluster, of which it may know a part
// already. When it returns that is on disk.
func (id *identity) adopt(from, cluster, founders string) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	if err := id.checkLocked(from, cluster, founders); err != nil {
		return err
	}
	if id.cluster != "" {
		cluster = id.cluster
	}
	if id.founders != "" {
		founders = id.founders
	}
	return id.setLocked(cluster, founders)
}

// forget is for a server that was to be part of a cluster and is not.
func (id *identity) forget() error {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.setLocked("", "")
}

func (id *identity) setLocked(cluster, founders string) error {
	if cluster == id.cluster && founders == id.founders {
		return nil
	}
	if err := id.save(identityKey, []byte(cluster+" "+founders)); err != nil {
		return err
	}
	id.cluster, id.founders = cluster, founders
	return nil
}

// digestOf returns a name for the servers that a cluster begins with.
func digestOf(servers []string) string {
	return digest([]byte(strings.Join(slices.Sorted(slices.Values(servers)), "\x00")))
}

// mint returns an ID for a cluster: no other server leads at that moment of
// its own clock in that term.
func mint(founders, leader string, term uint64, at time.Time) string {
	b := binary.BigEndian.AppendUint64([]byte(founders+"\x00"+leader+"\x00"), term)
	return digest(binary.BigEndian.AppendUint64(b, uint64(at.UnixNano())))
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:10])
}

// found gives the cluster its ID, if it has none.
func (tx *change) found(c *wire.FoundCluster) (result, error) {
	if tx.f.cluster.Load() != nil {
		return result{}, nil
	}
	if err := tx.batch.Put(clusterKey, []byte(c.Cluster)); err != nil {
		return result{}, err
	}
	tx.f.cluster.Store(&c.Cluster)
	return result{}, nil
}

func (f *fsm) loadCluster(g getter) error {
	return errors.Join(loadText(g, clusterKey, &f.cluster), loadText(g, originKey, &f.origin))
}

// loadText reads a record that is a text, or nil if it is not there.
func loadText(g getter, key []byte, into *atomic.Pointer[string]) error {
	b, err := g.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		into.Store(nil)
		return nil
	}
	if err == nil {
		text := string(b)
		into.Store(&text)
	}
	return err
}
