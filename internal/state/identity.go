package state

import (
	"cmp"
	"context"
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
	turn chan struct{} // held by whoever writes

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
// already. When it returns that is on disk, which may have to wait for room:
// whoever asks what is known meanwhile is answered.
func (id *identity) adopt(ctx context.Context, from, cluster, founders string) error {
	if _, _, news, err := id.with(from, cluster, founders); err != nil || !news {
		return err
	}
	select {
	case id.turn <- struct{}{}:
		defer func() { <-id.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	cluster, founders, news, err := id.with(from, cluster, founders)
	if err != nil || !news {
		return err
	}
	return id.set(cluster, founders)
}

// with returns what is known with what from says, and whether any of it is news.
func (id *identity) with(from, cluster, founders string) (allCluster, allFounders string, news bool, err error) {
	id.mu.Lock()
	defer id.mu.Unlock()
	if err := id.checkLocked(from, cluster, founders); err != nil {
		return "", "", false, err
	}
	allCluster, allFounders = cmp.Or(id.cluster, cluster), cmp.Or(id.founders, founders)
	return allCluster, allFounders, allCluster != id.cluster || allFounders != id.founders, nil
}

// forget is for a server that was to be part of a cluster and is not.
func (id *identity) forget() error {
	id.turn <- struct{}{}
	defer func() { <-id.turn }()
	if cluster, founders := id.get(); cluster == "" && founders == "" {
		return nil
	}
	return id.set("", "")
}

// set is called by whoever has the turn.
func (id *identity) set(cluster, founders string) error {
	if err := id.save(identityKey, []byte(cluster+" "+founders)); err != nil {
		return err
	}
	id.mu.Lock()
	defer id.mu.Unlock()
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
