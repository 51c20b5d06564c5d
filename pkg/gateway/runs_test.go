package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
)

const runs = "/namespaces/default/runs"

// TestARunFromItsJobToItsEnd tells the whole story of a run.
func TestARunFromItsJobToItsEnd(t *testing.T) {
	s := serve(t, gateway.Config{})
	s.do("PUT", "/namespaces/default/jobs/hello", `{"processor":"echo","params":"the job's"}`).is(201)
	a := s.do("POST", "/namespaces/default/jobs/hello/runs", `{"params":"mine","extra":{"by":"me"}}`).is(201)
	made := into[api.Run](a)
	equal(t, "params", made.Params, "mine")
	equal(t, "revision", made.Revision, 1)
	equal(t, "location", a.header.Get("Location"), "../../runs/"+made.Name)
	r := s.over(runs + "/" + made.Name)
	equal(t, "state", r.State, "succeeded")
	equal(t, "extra", r.Extra["by"], "me")
	equal(t, "done", r.Progress.Done, 1)
	if len(r.History) == 0 || r.Finished.IsZero() {
		t.Errorf("got %+v, want a history and an end", r)
	}
	s.do("POST", runs+"/"+made.Name+"/retry", "").refuses(422, "invalid", "")

	a = s.do("POST", "/namespaces/default/jobs/hello/runs", "").is(201)
	equal(t, "params", into[api.Run](a).Params, "the job's")
	later := into[api.Run](s.do("POST", "/namespaces/default/jobs/hello/runs", `{"delay":"1h"}`).is(201))
	if got := later.NotBefore.Sub(later.Created); got.Hours() != 1 || later.State != "pending" {
		t.Errorf("got %+v, want it to wait for an hour", later)
	}
	equal(t, "cancelled", into[api.Run](s.do("POST", runs+"/"+later.Name+"/cancel", `{"reason":"changed my mind"}`).is(200)).CancelReason, "changed my mind")
	equal(t, "state", s.over(runs+"/"+later.Name).State, "canceled")
}

// TestARunIsRetriedUnderAnIDWithAMark fails a run and tries it again, which has
// a # in its ID.
func TestARunIsRetriedUnderAnIDWithAMark(t *testing.T) {
	s := serve(t, gateway.Config{})
	path := s.run("fail", "")
	r := s.over(path)
	if r.State != "failed" || !strings.Contains(r.Reason, "out of paper") {
		t.Fatalf("got %+v, want it to have failed with what the processor said", r)
	}
	a := s.do("POST", path+"/retry", `{"all":true}`).is(201)
	again := into[api.Run](a)
	if again.Attempt != 2 || again.Of != r.ID || !strings.HasSuffix(string(again.ID), "#2") {
		t.Errorf("got %+v, want the second attempt", again)
	}
	equal(t, "location", a.header.Get("Location"), "../"+r.Name+"%232")
	equal(t, "run", into[api.Run](s.do("GET", path+"%232", "").is(200)).ID, again.ID)
	equal(t, "asked again", into[api.Run](s.do("POST", path+"/retry", "").is(201)).ID, again.ID)
}

func TestARunIsStopped(t *testing.T) {
	s := serve(t, gateway.Config{})
	path := s.run("wait", "")
	equal(t, "state", into[api.Run](s.do("POST", path+"/stop", `{"reason":"enough"}`).is(200)).State, "canceled")
}

func TestAWaitEndsInTime(t *testing.T) {
	s := serve(t, gateway.Config{})
	path := s.run("wait", "")
	if got := into[api.Run](s.do("GET", path+"/wait?timeout=1ms", "").is(200)).State; got != "running" && got != "pending" {
		t.Errorf("got %s, want it to go on", got)
	}
	s.do("POST", path+"/stop", "").is(200)
}

// TestARequestThatIsRepeatedMakesOneRun asks for a run twice, by each means.
func TestARequestThatIsRepeatedMakesOneRun(t *testing.T) {
	s := serve(t, gateway.Config{})
	s.do("PUT", "/namespaces/default/jobs/hello", `{"processor":"echo"}`).is(201)
	const spec = `{"spec":{"name":"j","processor":"echo"}}`
	for _, c := range []struct{ path, body string }{{"/namespaces/default/jobs/hello/runs", ""}, {runs, spec}} {
		first := into[api.Run](s.do("POST", c.path, c.body, "Idempotency-Key: k1").is(201))
		s.over(runs + "/" + first.Name) // its end does not free the key
		equal(t, c.path, into[api.Run](s.do("POST", c.path, c.body, "Idempotency-Key: k1").is(201)).ID, first.ID)
		if other := into[api.Run](s.do("POST", c.path, c.body, "Idempotency-Key: k2").is(201)); other.ID == first.ID {
			t.Errorf("%s: another key got the same run", c.path)
		}
	}
	s.do("POST", runs, `{"spec":{"processor":"echo"},"key":"a"}`, "Idempotency-Key: b").refuses(422, "invalid", "header.Idempotency-Key")
}

func TestRunsAreListedByWhatTheyAre(t *testing.T) {
	s := serve(t, gateway.Config{})
	for _, path := range []string{s.run("echo", ""), s.run("echo", `,"key":"mine"`), s.run("fail", "")} {
		s.over(path)
	}
	for query, want := range map[string]int{
		"": 3, "?state=succeeded": 2, "?state=failed": 1, "?state=failed,succeeded": 3, "?state=running": 0, "?job=j": 3, "?job=k": 0,
		"?key=mine": 1, "?from=2020-01-01T00:00:00Z": 3, "?until=2020-01-01T00:00:00Z": 0, "?sort=-job&limit=2": 2,
	} {
		equal(t, query, len(into[api.Runs](s.do("GET", runs+query, "").is(200)).Runs), want)
	}
}

// TestRunsAreSorted by each order there is, in pages of one.
func TestRunsAreSorted(t *testing.T) {
	s := serve(t, gateway.Config{})
	var made []string
	for _, name := range []string{"b", "c", "a"} {
		made = append(made, into[api.Run](s.do("POST", runs, `{"spec":{"name":"`+name+`","processor":"echo"}}`).is(201)).Name)
	}
	b, c, a := made[0], made[1], made[2]
	for query, want := range map[string][]string{
		"": {a, c, b}, "&sort=-created": {a, c, b}, "&sort=created": {b, c, a}, "&sort=job": {a, b, c}, "&sort=-job": {c, b, a},
	} {
		var got []string
		for cursor := ""; ; {
			page := into[api.Runs](s.do("GET", runs+"?limit=1"+query+"&cursor="+cursor, "").is(200))
			for _, r := range page.Runs {
				got = append(got, r.Name)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	byJob := into[api.Runs](s.do("GET", runs+"?limit=1&sort=job", "").is(200)).Next
	s.do("GET", runs+"?cursor="+byJob, "").refuses(422, "invalid", "query.cursor")
}

// TestRunsAreFoundByTags of their jobs, and by those of one run.
func TestRunsAreFoundByTags(t *testing.T) {
	s := serve(t, gateway.Config{})
	s.do("PUT", "/namespaces/default/jobs/hello", `{"processor":"echo","tags":["red","blue"]}`).is(201)
	const path = "/namespaces/default/jobs/hello/runs"
	s.do("POST", path, "").is(201)
	green := into[api.Run](s.do("POST", path, `{"tags":["green","red"]}`).is(201))
	equal(t, "tags", strings.Join(green.Tags, " "), "red blue green")
	s.do("POST", runs, `{"spec":{"processor":"echo","tags":["red"]},"tags":["green"]}`).is(201)
	for query, want := range map[string]int{
		"red": 3, "blue": 2, "green": 2, "blue,green": 1, "green,red": 2, "re": 0, "red&job=hello": 2, "red&job=hello&sort=job": 2, "green&sort=-job": 2,
	} {
		equal(t, query, len(into[api.Runs](s.do("GET", runs+"?tag="+query, "").is(200)).Runs), want)
	}
	s.do("POST", path, `{"tags":["late"],"delay":"1h"}`).is(201)
	for tags, want := range map[string]int{`"late"`: 1, `"late","red"`: 1, `"late","green"`: 0} {
		meant := into[api.Meant](s.do("POST", "/namespaces/default/operations/preview", `{"verb":"cancel","tags":[`+tags+`],"states":["pending"]}`).is(200))
		equal(t, tags, meant.Count, want)
	}
	s.do("PUT", "/namespaces/default/jobs/odd", `{"processor":"echo","tags":["a b"]}`).refuses(422, "invalid", "body.tags[0]")
	many := `"t` + strings.Join(strings.Split("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", " "), `","t`) + `"`
	s.do("POST", path, `{"tags":[`+many+`]}`).refuses(422, "invalid", "body.tags")
	s.do("GET", runs+"?tag=a%20b", "").refuses(422, "invalid", "query.tags[0]")
}
