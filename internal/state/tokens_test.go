package state

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/pkg/job"
)

func token(id string) job.Token {
	return job.Token{ID: id, Name: "of " + id, Roles: map[string]job.Role{"d": job.Viewer}, Created: time.Unix(7, 0).UTC(), By: "alice"}
}

func TestTokensOutliveARestartAndEndWithTheirRevocation(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	hash := sha256.Sum256([]byte("secret"))
	must(t, s.PutToken(t.Context(), token("a"), hash, false))
	must(t, s.PutToken(t.Context(), token("a"), hash, false)) // an answer that was lost
	refused(t, s.PutToken(t.Context(), token("a"), sha256.Sum256([]byte("other")), false), ErrExists)
	must(t, s.PutToken(t.Context(), token("b"), hash, false))
	must(t, s.snapshot())
	closed(t, s)

	s = open(t, dir)
	got, gotHash, err := s.Token("a")
	must(t, err)
	if want := token("a"); fmt.Sprint(got) != fmt.Sprint(want) || gotHash != hash {
		t.Errorf("got %v with hash %x, want %v with %x", got, gotHash, want, hash)
	}
	must(t, s.RevokeToken(t.Context(), "a"))
	refused(t, s.RevokeToken(t.Context(), "a"), ErrNoToken)
	_, _, err = s.Token("a")
	refused(t, err, ErrNoToken)
	all, err := s.Tokens()
	must(t, err)
	if len(all) != 1 || all[0].ID != "b" {
		t.Errorf("got %v, want b alone", all)
	}
}

// The first token may be asked for by several at once, and one has it.
func TestThereIsOneFirstToken(t *testing.T) {
	s := open(t, t.TempDir())
	hash := sha256.Sum256([]byte("secret"))
	must(t, s.PutToken(t.Context(), token("a"), hash, true))
	must(t, s.PutToken(t.Context(), token("a"), hash, true))
	refused(t, s.PutToken(t.Context(), token("b"), hash, true), ErrExists)
	must(t, s.RevokeToken(t.Context(), "a"))
	refused(t, s.PutToken(t.Context(), token("b"), hash, true), ErrExists)
	must(t, s.PutToken(t.Context(), token("b"), hash, false))
}

// audited records n things, a second apart.
func audited(t *testing.T, s *State, n int) {
	t.Helper()
	for i := range n {
		must(t, s.Record(t.Context(), job.Audit{
			ID: fmt.Sprintf("r%d", i), At: time.Unix(int64(i), 0), Who: []string{"alice", "bob"}[i%2], Verb: "job.put", Namespace: "d", Object: fmt.Sprintf("j%d", i),
		}))
	}
}

// objects reads all pages of a query.
func objects(t *testing.T, s *State, q job.AuditQuery) string {
	t.Helper()
	var all []string
	for {
		page, err := s.Audit(q)
		must(t, err)
		if len(page.Records) > q.Limit && q.Limit > 0 {
			t.Fatalf("got %d records, want at most %d", len(page.Records), q.Limit)
		}
		for _, a := range page.Records {
			all = append(all, a.Object)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return strings.Join(all, " ")
		}
	}
}

func TestAuditIsReadByPagesLatestFirst(t *testing.T) {
	s := open(t, t.TempDir())
	audited(t, s, 6)
	must(t, s.Record(t.Context(), job.Audit{ID: "r2", At: time.Unix(2, 0), Who: "alice", Verb: "job.put", Namespace: "d", Object: "j2"}))
	for name, c := range map[string]struct {
		q    job.AuditQuery
		want string
	}{
		"all":          {job.AuditQuery{}, "j5 j4 j3 j2 j1 j0"},
		"in pages":     {job.AuditQuery{Limit: 2}, "j5 j4 j3 j2 j1 j0"},
		"of bob":       {job.AuditQuery{Who: "bo", Limit: 1}, "j5 j3 j1"},
		"of an object": {job.AuditQuery{Object: "j4"}, "j4"},
		"of a time":    {job.AuditQuery{Since: time.Unix(2, 0), Until: time.Unix(4, 0)}, "j3 j2"},
		"of nobody":    {job.AuditQuery{Namespace: "e"}, ""},
	} {
		if got := objects(t, s, c.q); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	_, err := s.Audit(job.AuditQuery{Cursor: "x"})
	refused(t, err, ErrInvalid)
}

func TestAuditIsBoundedByCountAndAge(t *testing.T) {
	s := open(t, t.TempDir())
	audited(t, s, 10)
	must(t, s.ForgetAudit(t.Context(), 6, time.Unix(2, 0)))
	if got, want := objects(t, s, job.AuditQuery{}), "j9 j8 j7 j6 j5 j4"; got != want {
		t.Errorf("got %q, want the latest six: %q", got, want)
	}
	must(t, s.ForgetAudit(t.Context(), 100, time.Unix(8, 0)))
	if got, want := objects(t, s, job.AuditQuery{}), "j9 j8"; got != want {
		t.Errorf("got %q, want those from that time on: %q", got, want)
	}
}
