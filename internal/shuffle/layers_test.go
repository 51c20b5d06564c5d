package shuffle

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

// layersOf returns how many layers a map output has.
func layersOf(t *testing.T, s *Shuffle, task int) int {
	t.Helper()
	f, layers, err := openOutput(s.held(testRun, outputID(task, 1)), outputID(task, 1), 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return len(layers)
}

// What was spilled is not written a second time if those who read it can merge
// it as well, and is read in the order in which it was added.
func TestSpillsAreLayersOfTheMapOutput(t *testing.T) {
	const parts = 2
	p := newPool(t, 1<<20, "a", "b")
	var tasks [][]pair
	for task, node := range []string{"a", "b"} {
		var pairs []pair
		for i := range 20_000 {
			pairs = append(pairs, pair{fmt.Sprint("key", i*7919%5000), fmt.Sprint(task, " ", i)})
		}
		st := write(t, p.nodes[node], task, parts, nil, pairs)
		if n := layersOf(t, p.nodes[node], task); n < 2 || st.Spills != int64(n-1) || st.Kept != 20_000 {
			t.Errorf("%d layers after %d spills, with %d pairs: want the spills and what came after them, with 20000", n, st.Spills, st.Kept)
		}
		tasks = append(tasks, pairs)
	}
	sources := []job.Source{{Node: "b", Maps: []job.MapOutputID{outputID(1, 1)}}, {Node: "a", Maps: []job.MapOutputID{outputID(0, 1)}}}
	for part := range parts {
		r, err := p.nodes["a"].Read(t.Context(), ReadConfig{Run: testRun, Partition: part, Sources: sources})
		if err != nil {
			t.Fatal(err)
		}
		got, err := collect(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := equalGroups(got, oracle(inPart(tasks[0], parts, part), inPart(tasks[1], parts, part))); err != nil {
			t.Error(err)
		}
	}
}

// Layers that have keys in common are merged, as far as their pairs combine, and
// so are those that have next to nothing of a partition.
func TestLayersAreMergedIfThatIsWorthIt(t *testing.T) {
	const keys = 30_000
	one := string(binary.BigEndian.AppendUint64(nil, 1))
	var repeated, distinct []pair
	for i := range 4 * keys {
		repeated = append(repeated, pair{fmt.Sprint("key", i/2%keys), one})
		distinct = append(distinct, pair{fmt.Sprint("key", i), one})
	}
	for _, test := range []struct {
		name  string
		parts int
		pairs []pair
		kept  int64
	}{
		{"keys in common", 2, repeated, keys},
		{"many partitions", 2000, distinct, 4 * keys},
	} {
		s := newPool(t, 4<<20, "a").nodes["a"]
		st := write(t, s, 0, test.parts, sum, test.pairs)
		if n := layersOf(t, s, 0); n != 1 || st.Spills == 0 || st.Kept != test.kept {
			t.Errorf("%s: %d layers of %d pairs after %d spills: want one of %d", test.name, n, st.Kept, st.Spills, test.kept)
		}
	}
}
