package state

import (
	"fmt"
	"testing"

	"github.com/musterhq/muster/pkg/job"
)

func TestRevisionsOfAJobAreKeptUpToABound(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	put := func(i int) {
		t.Helper()
		_, err := s.PutJob(ctx, job.Spec{Name: "j", Processor: "p", Params: fmt.Sprint("params ", i)}, nil, s.now(), 0)
		must(t, err)
	}
	const n = maxRevisions + 3
	for i := 1; i <= n; i++ {
		put(i)
		put(i) // what is as it was is no revision
	}
	all, err := s.Revisions("", "j")
	must(t, err)
	if len(all) != maxRevisions {
		t.Fatalf("%d revisions are kept, want %d", len(all), maxRevisions)
	}
	for i, r := range all {
		if want := n - i; r.Revision != uint64(want) || r.Spec.Params != fmt.Sprint("params ", want) || r.Saved.IsZero() {
			t.Errorf("revision %d of those is %d with %q, want %d", i, r.Revision, r.Spec.Params, want)
		}
	}
	must(t, s.DeleteJob(ctx, "", "j"))
	_, err = s.Revisions("", "j")
	refused(t, err, ErrNoJob)
	put(1)
	if all, err = s.Revisions("", "j"); err != nil || len(all) != 1 || all[0].Revision != 1 {
		t.Errorf("declared anew it has %v, %v", all, err)
	}
	for key := range records(t, s.kv) {
		if key[0] == 'R' && key != string(revisionKey(jobName{"default", "j"}, 1)) {
			t.Errorf("record %q is left of the job that was deleted", key)
		}
	}
}
