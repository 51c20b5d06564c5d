package shuffle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/pkg/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testRun job.RunID = "reports/nightly@20260329T030000Z"

// chance returns a source of randomness whose seed is printed.
func chance(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func attempt(task, n int) job.AttemptID {
	return job.AttemptID{Run: testRun, Task: job.TaskID{Kind: job.KindMap, N: task}, Epoch: 3, N: n}
}

func outputID(task, n int) job.MapOutputID { return job.MapOutputID{Task: task, Epoch: 3, Attempt: n} }

// pool is shuffles of some nodes that fetch from each other without a network.
type pool struct {
	nodes map[string]*Shuffle
	// broken, if set, may say what becomes of a stream.
	broken func(node string, st io.ReadCloser) (io.ReadCloser, error)
}

func newPool(t testing.TB, memory int64, nodes ...string) *pool {
	p := &pool{nodes: make(map[string]*Shuffle)}
	for _, n := range nodes {
		p.nodes[n] = p.node(t, n, memory)
	}
	return p
}

func (p *pool) node(t testing.TB, name string, memory int64) *Shuffle {
	s, err := New(Config{Dir: t.TempDir(), Memory: memory, Node: name, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.open = p.open
	s.pause = func(int) time.Duration { return 0 }
	t.Cleanup(func() {
		s.Close()
		checkClean(t, s)
	})
	return s
}

// checkClean says whether a closed shuffle left anything.
func checkClean(t testing.TB, s *Shuffle) {
	t.Helper()
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	if s.budget.used != 0 || s.budget.accounts != 0 {
		t.Errorf("%d bytes in %d accounts are still reserved", s.budget.used, s.budget.accounts)
	}
	if files := filesIn(t, s.dir); len(files) > 0 {
		t.Errorf("left on disk: %v", files)
	}
}

func filesIn(t testing.TB, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	return files
}

// halfPipe is the serving end of a stream.
type halfPipe struct{ *io.PipeWriter }

// stream waits for its server when it is closed.
type stream struct {
	*io.PipeReader
	served chan struct{}
}

func (s stream) Close() error {
	err := s.PipeReader.Close()
	<-s.served
	return err
}

func (p *pool) open(ctx context.Context, node string, req []byte) (io.ReadCloser, error) {
	s := p.nodes[node]
	if s == nil {
		return nil, fmt.Errorf("no node %q", node)
	}
	r, w := io.Pipe()
	st := stream{r, make(chan struct{})}
	go func() {
		defer close(st.served)
		w.CloseWithError(s.serve(ctx, req, halfPipe{w}))
	}()
	if p.broken != nil {
		return p.broken(node, st)
	}
	return st, nil
}

// pair is a key and a value.
type pair struct{ key, value string }

// groups are keys with their values.
type groups []struct {
	key    string
	values []string
}

// oracle sorts and groups the pairs of map tasks, given in their order.
func oracle(tasks ...[]pair) (g groups) {
	all := slices.Concat(tasks...)
	slices.SortStableFunc(all, func(a, b pair) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
	for _, p := range all {
		if len(g) == 0 || g[len(g)-1].key != p.key {
			g = append(g, struct {
				key    string
				values []string
			}{key: p.key})
		}
		last := &g[len(g)-1]
		last.values = append(last.values, p.value)
	}
	return g
}

// collect reads all groups of r and closes it.
func collect(r *Reader) (g groups, err error) {
	defer r.Close()
	for k, vs := range r.Groups() {
		e := struct {
			key    string
			values []string
		}{key: string(k)}
		for v := range vs {
			e.values = append(e.values, string(v))
		}
		g = append(g, e)
	}
	return g, r.Err()
}

// collectPairs is collect by way of Pairs.
func collectPairs(r *Reader) (g groups, err error) {
	defer r.Close()
	var all []pair
	for k, v := range r.Pairs() {
		all = append(all, pair{string(k), string(v)})
	}
	return oracle(all), r.Err() // which leaves them in the order that they have
}

func equalGroups(a, b groups) error {
	for i := range min(len(a), len(b)) {
		if a[i].key != b[i].key {
			return fmt.Errorf("key %d is %.40q, want %.40q", i, a[i].key, b[i].key)
		}
		if !slices.Equal(a[i].values, b[i].values) {
			return fmt.Errorf("values of key %.40q differ: got %d, want %d", a[i].key, len(a[i].values), len(b[i].values))
		}
	}
	if len(a) != len(b) {
		return fmt.Errorf("got %d keys, want %d", len(a), len(b))
	}
	return nil
}

// byFirst partitions by a sum over the key.
func byFirst(parts int) func([]byte) int {
	return func(key []byte) int {
		n := 0
		for _, c := range key {
			n += int(c)
		}
		return n % parts
	}
}

// sum combines values that are eight bytes.
func sum(dst, a, b []byte) ([]byte, error) {
	if len(a) != 8 || len(b) != 8 {
		return nil, fmt.Errorf("values of %d and %d bytes", len(a), len(b))
	}
	return binary.BigEndian.AppendUint64(dst, binary.BigEndian.Uint64(a)+binary.BigEndian.Uint64(b)), nil
}

// write makes the output of a map task.
func write(t testing.TB, s *Shuffle, task, parts int, combine CombineFunc, pairs []pair) Stats {
	t.Helper()
	w, err := s.Writer(WriterConfig{Attempt: attempt(task, 1), Partitions: parts, Partition: byFirst(parts), Combine: combine})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	var buf []byte
	for _, p := range pairs {
		buf = append(append(buf[:0], p.key...), p.value...)
		if err := w.Add(buf[:len(p.key)], buf[len(p.key):]); err != nil {
			t.Fatal(err)
		}
		clear(buf) // what Add was given is not Add's to keep
	}
	st, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func inPart(pairs []pair, parts, part int) (in []pair) {
	f := byFirst(parts)
	for _, p := range pairs {
		if f([]byte(p.key)) == part {
			in = append(in, p)
		}
	}
	return in
}
