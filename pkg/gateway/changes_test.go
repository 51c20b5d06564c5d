package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
)

const changes = "/namespaces/default/changes"

// changesUntil follows changes until one is the last, and returns all.
func (s *server) changesUntil(path string, last func(api.Change) bool, headers ...string) (all []api.Change) {
	s.t.Helper()
	s.events(path, func(e event) bool {
		c := into[api.Change](&answer{t: s.t, body: []byte(e.data)})
		if c.ID != e.id || string(c.Of) != e.name && c.What != e.name {
			s.t.Errorf("event %s %s has %s", e.name, e.id, e.data)
		}
		all = append(all, c)
		return !last(c)
	}, headers...)
	return all
}

// said is a change as the tests compare it.
func said(all []api.Change) (lines []string) {
	for _, c := range all {
		lines = append(lines, strings.Join(strings.Fields(string(c.Of)+" "+c.What+" "+c.Job+" "+c.State+" "+c.Reason), " "))
	}
	return lines
}

func TestChangesOfANamespaceAreFollowedFromAnyOfThemOn(t *testing.T) {
	s := serve(t, gateway.Config{})
	began := s.changesUntil(changes, func(api.Change) bool { return true })
	equal(t, "without a place", said(began), []string{"reset"})
	s.do("PUT", "/namespaces/default/jobs/nightly", `{"processor":"fail"}`).is(201)
	s.do("POST", "/namespaces/default/jobs/nightly/pause", `{"reason":"holidays"}`).is(204)
	s.do("POST", "/namespaces/default/jobs/nightly/resume", "").is(204)
	s.do("PUT", "/namespaces/other/jobs/nightly", `{"processor":"fail"}`).is(201)
	path := s.run("fail", "")
	s.do("GET", path+"/wait", "").is(200)
	s.do("DELETE", "/namespaces/default/jobs/nightly", "").is(204)

	deleted := func(c api.Change) bool { return c.What == "deleted" }
	all := s.changesUntil(changes, deleted, "Last-Event-ID: "+began[0].ID)
	want := []string{"job declared nightly", "job paused nightly holidays", "job resumed nightly", "run created j running", "run ended j failed m0: out of paper", "job deleted nightly"}
	equal(t, "all changes", said(all), want)
	for i := range all[:len(all)-1] {
		rest := s.changesUntil(changes, deleted, "Last-Event-ID: "+all[i].ID)
		equal(t, "the changes behind one", rest, all[i+1:])
	}
	only := s.changesUntil(changes+"?job=nightly", deleted, "Last-Event-ID: "+began[0].ID)
	equal(t, "the changes of a job", only, slices.DeleteFunc(slices.Clone(all), func(c api.Change) bool { return c.Job != "nightly" }))
	for _, id := range []string{"0", "nonsense-1-2-3", strings.Replace(all[0].ID, all[0].ID[:4], "0000", 1)} {
		anew := s.changesUntil(changes, func(api.Change) bool { return true }, "Last-Event-ID: "+id)
		equal(t, "from "+id, said(anew), []string{"reset"})
	}
}
