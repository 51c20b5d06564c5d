package worker

import (
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

func TestBoundsSurviveTheirWay(t *testing.T) {
	long := strings.Repeat("x", maxBound)
	for _, test := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"a"}, []string{"a"}},
		{[]string{"a", "b\x00", "c"}, []string{"a", "b\x00", "c"}},
		{[]string{"a", long + "1", long + "2", "y"}, []string{"a", long, "y"}},
	} {
		var in sharding.Ranges
		for _, s := range test.in {
			in = append(in, []byte(s))
		}
		out, err := decodeBounds(encodeBounds(in))
		var got []string
		for _, b := range out {
			got = append(got, string(b))
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("got %q, %v, want %q", got, err, test.want)
		}
	}
}

func TestBoundsThatDoNotFitFailTheAttempt(t *testing.T) {
	w, h := start(t, Config{Processors: mapreduce.Registry{"words": mapreduce.Of(words{})}}, &fakePairs{})
	r := keyedRun("r")
	r.Spec.Sorted = true
	for i, before := range [][]byte{nil, {200}, {3, 1, 'a', 1, 'b', 1, 'c'}, {2, 1, 'b', 1, 'a'}, {1, 1, 'a', 0}} {
		w.Take(job.Batch{Run: r, Before: before, Tasks: mapTasks(i, 1)})
		if o := h.await("r", i+1)[i]; o.Failure == nil || !o.Failure.Permanent || !strings.Contains(o.Failure.Reason, "bounds of run r") {
			t.Errorf("%v: got %+v, want a permanent failure", before, o.Failure)
		}
	}
}

func FuzzDecodeBounds(f *testing.F) {
	f.Add(encodeBounds(sharding.Ranges{[]byte("a"), []byte("b")}))
	f.Add([]byte{255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeBounds(b)
		if err == nil && !slices.IsSortedFunc(r, func(a, b []byte) int { return strings.Compare(string(a), string(b)) }) {
			t.Errorf("%q does not ascend", r)
		}
	})
}
