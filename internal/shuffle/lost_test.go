package shuffle

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/musterhq/muster/pkg/job"
)

// lostTasks reads partition 0 and returns the tasks that were lost.
func lostTasks(t *testing.T, s *Shuffle, sources []job.Source) (tasks []int) {
	t.Helper()
	r, err := s.Read(t.Context(), ReadConfig{Run: testRun, Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	_, err = collect(r)
	var le *LostError
	if err != nil && !errors.As(err, &le) {
		t.Fatal(err)
	}
	if le == nil {
		return nil
	}
	for _, id := range le.Outputs {
		tasks = append(tasks, id.Task)
	}
	return tasks
}

// six writes six map outputs, two each on a, b and c.
func six(t *testing.T, p *pool) []job.Source {
	sources := []job.Source{{Node: "a"}, {Node: "b"}, {Node: "c"}}
	for task := range 6 {
		write(t, p.nodes[sources[task%3].Node], task, 1, nil, []pair{{"k", "v"}})
		sources[task%3].Maps = append(sources[task%3].Maps, outputID(task, 1))
	}
	return sources
}

func TestLostNamesExactlyWhatIsMissing(t *testing.T) {
	p := newPool(t, 1<<20, "a", "b", "c")
	sources := six(t, p)
	check := func(what string, want ...int) {
		t.Helper()
		if got := lostTasks(t, p.nodes["a"], sources); !slices.Equal(got, want) {
			t.Errorf("%s: lost %v, want %v", what, got, want)
		}
	}
	check("nothing is missing")
	sources[0].Maps = append(sources[0].Maps, outputID(9, 1))
	sources[1].Maps = append(sources[1].Maps, outputID(8, 1))
	check("never made", 8, 9)
	for _, task := range []int{0, 1} {
		node := p.nodes[sources[task].Node]
		if err := os.Remove(node.held(testRun, outputID(task, 1)).path(outputID(task, 1))); err != nil {
			t.Fatal(err)
		}
	}
	check("file removed", 0, 1, 8, 9)
	delete(p.nodes, "c")
	check("node gone", 0, 1, 2, 5, 8, 9)
	if p.nodes["b"].Has(testRun, outputID(1, 1)) {
		t.Error("the node still says that it holds what is gone")
	}
}

// brokenAfter is a stream that breaks after some bytes.
type brokenAfter struct {
	io.ReadCloser
	left int64
}

func (b *brokenAfter) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("broken")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func TestFetchSurvivesBrokenStreams(t *testing.T) {
	p := newPool(t, 1<<20, "a", "b", "c")
	sources := six(t, p)
	var opened atomic.Int64
	p.broken = func(_ string, st io.ReadCloser) (io.ReadCloser, error) {
		n := opened.Add(1)
		if n%3 == 0 {
			st.Close()
			return nil, errors.New("no way there")
		}
		return &brokenAfter{st, 20 + n*17}, nil
	}
	if lost := lostTasks(t, p.nodes["a"], sources); len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
	if opened.Load() < 4 {
		t.Errorf("%d streams", opened.Load())
	}
}

func TestAMapOutputThatAlwaysBreaksTheStreamIsLostAlone(t *testing.T) {
	p := newPool(t, 1<<20, "a", "b")
	p.nodes["a"].budget = newBudget(8 << 10) // a small buffer, so that a break is seen where it is
	var ids []job.MapOutputID
	for task := range 4 {
		write(t, p.nodes["b"], task, 1, nil, []pair{{"k", "v"}})
		ids = append(ids, outputID(task, 1))
	}
	hurt := p.nodes["b"].held(testRun, ids[2])
	f, layers, err := openOutput(hurt, ids[2], 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	b, err := os.ReadFile(hurt.path(ids[2]))
	if err != nil {
		t.Fatal(err)
	}
	b[layers[0].off+blockHead] ^= 1
	if err := os.WriteFile(hurt.path(ids[2]), b, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := lostTasks(t, p.nodes["a"], []job.Source{{Node: "b", Maps: ids}}); !slices.Equal(got, []int{2}) {
		t.Errorf("lost %v, want 2", got)
	}
}

func TestReadRefusesWhatMakesNoSense(t *testing.T) {
	p := newPool(t, 1<<20, "a")
	s := p.nodes["a"]
	write(t, s, 0, 1, nil, []pair{{"k", "v"}})
	for name, cfg := range map[string]ReadConfig{
		"partition": {Run: testRun, Partition: -1},
		"twice":     {Run: testRun, Sources: []job.Source{{Node: "a", Maps: []job.MapOutputID{outputID(0, 1), outputID(0, 2)}}}},
		"run":       {},
	} {
		if _, err := s.Read(t.Context(), cfg); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	r, err := s.Read(t.Context(), ReadConfig{Run: testRun, Partition: 1, Sources: []job.Source{{Node: "a", Maps: []job.MapOutputID{outputID(0, 1)}}}})
	if err != nil {
		t.Fatal(err)
	}
	var le *LostError
	if _, err := collect(r); err == nil || errors.As(err, &le) {
		t.Errorf("partition 1 of 1: %v", err)
	}
	s.open = nil
	if _, err := s.Read(t.Context(), ReadConfig{Run: testRun, Sources: []job.Source{{Node: "b", Maps: []job.MapOutputID{outputID(0, 1)}}}}); err == nil {
		t.Error("no transport: not refused")
	}
}

// silent is a stream that brings nothing until it is closed.
type silent struct {
	closed context.Context
	close  context.CancelFunc
}

func (s silent) Read([]byte) (int, error) { <-s.closed.Done(); return 0, io.ErrClosedPipe }
func (s silent) Close() error             { s.close(); return nil }

func TestDropEndsAFetch(t *testing.T) {
	p := newPool(t, 1<<20, "a")
	s := p.nodes["a"]
	opened := make(chan struct{})
	s.open = func(context.Context, string, []byte) (io.ReadCloser, error) {
		close(opened)
		closed, stop := context.WithCancel(context.Background())
		return silent{closed, stop}, nil
	}
	go func() {
		<-opened
		s.Drop(testRun)
	}()
	r, err := s.Read(t.Context(), ReadConfig{Run: testRun, Sources: []job.Source{{Node: "b", Maps: []job.MapOutputID{outputID(0, 1)}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := collect(r); !errors.Is(err, ErrDropped) {
		t.Errorf("Err: %v", err)
	}
}

func TestAStreamThatBringsNothingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPool(t, 1<<20, "a").nodes["a"]
		var opened atomic.Int64
		s.open = func(context.Context, string, []byte) (io.ReadCloser, error) {
			opened.Add(1)
			closed, stop := context.WithCancel(context.Background())
			return silent{closed, stop}, nil
		}
		if got := lostTasks(t, s, []job.Source{{Node: "b", Maps: []job.MapOutputID{outputID(3, 1)}}}); !slices.Equal(got, []int{3}) {
			t.Errorf("lost %v", got)
		}
		if opened.Load() != fetchTries {
			t.Errorf("%d streams, want %d", opened.Load(), fetchTries)
		}
		s.Close() // here, because it belongs to this bubble
	})
}
