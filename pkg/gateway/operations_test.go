package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
)

const operations = "/namespaces/default/operations"

// carriedOut begins a bulk operation and returns it when it is over.
func (s *server) carriedOut(body string, headers ...string) api.Operation {
	s.t.Helper()
	a := s.do("POST", operations, body, headers...).is(202)
	o := into[api.Operation](a)
	equal(s.t, "location", a.header.Get("Location"), "operations/"+o.ID)
	for o.State == job.OperationRunning {
		o = into[api.Operation](s.do("GET", operations+"/"+o.ID+"/wait", "").is(200))
	}
	return o
}

// TestManyRunsAreCanceledAndRetried by a filter and by their IDs, with progress
// and the reasons of what was refused.
func TestManyRunsAreCanceledAndRetried(t *testing.T) {
	s := serve(t, gateway.Config{})
	var names []string
	for range 5 {
		names = append(names, strings.TrimPrefix(s.run("echo", `,"delay":"1h"`), runs+"/"))
	}
	s.run("wait", "")
	const filter = `{"verb":"cancel","job":"j","states":["pending"],"reason":"no need"}`
	equal(t, "meant", into[api.Meant](s.do("POST", operations+"/preview", filter).is(200)).Count, 5)
	o := s.carriedOut(filter)
	if o.State != job.OperationDone || o.Done != 5 || o.Refused != 0 || o.By != "anybody" || o.Reason != "no need" || o.Job != "j" || o.Ended.IsZero() {
		t.Errorf("got %+v, want five done", o)
	}
	for _, name := range names {
		equal(t, name, into[api.Run](s.do("GET", runs+"/"+name, "").is(200)).CancelReason, "no need")
	}

	o = s.carriedOut(fmt.Sprintf(`{"verb":"retry","runs":["default/%s",%q,"j@never"]}`, names[0], names[1]))
	if o.Done != 2 || o.Refused != 1 || o.Selected != 3 || len(o.Refusals) != 1 || o.Refusals[0].Name != "default/j@never" {
		t.Errorf("got %+v, want two done and one refused", o)
	}
	s.do("GET", runs+"/"+names[1]+"%232", "").is(200)
	equal(t, "canceled when it is over", into[api.Operation](s.do("POST", operations+"/"+o.ID+"/cancel", "").is(200)).State, job.OperationDone)
	equal(t, "waited for a moment", into[api.Operation](s.do("GET", operations+"/"+o.ID+"/wait?steps=0&timeout=1ms", "").is(200)).ID, o.ID)
	s.do("GET", operations+"/"+o.ID+"/wait?timeout=2h", "").refuses(422, "invalid", "query.timeout")
}

// TestOperationsComePageByPage and a repeated request is one of them.
func TestOperationsComePageByPage(t *testing.T) {
	s := serve(t, gateway.Config{})
	var ids []string
	for i := range 3 {
		ids = append(ids, s.carriedOut(`{"verb":"stop","job":"none"}`, fmt.Sprintf("Idempotency-Key: k%d", i)).ID)
	}
	equal(t, "asked again", s.carriedOut(`{"verb":"stop","job":"none"}`, "Idempotency-Key: k1").ID, ids[1])
	list := func(query string) (got []string) {
		for cursor := ""; ; {
			page := into[api.Operations](s.do("GET", operations+"?limit=2"+query+cursor, "").is(200))
			for _, o := range page.Operations {
				got = append(got, o.ID)
			}
			if page.Next == "" {
				return got
			}
			cursor = "&cursor=" + page.Next
		}
	}
	there, back := list(""), list("&order=desc&state=done")
	if len(there) != 3 || len(back) != 3 || there[0] != back[2] || there[1] != back[1] {
		t.Errorf("got %q and %q, want all three, there and back", there, back)
	}
	equal(t, "those that go on", len(list("&state=running")), 0)
	s.do("GET", operations+"?cursor=!", "").refuses(422, "invalid", "query.cursor")
}

func TestABulkThatCannotBeNamesTheField(t *testing.T) {
	s := serve(t, gateway.Config{})
	for body, location := range map[string]string{
		`{"verb":"cancel","runs":["other/j@1"]}`:     "body.runs[0]",
		`{"verb":"retry","states":["running"]}`:      "body.states",
		`{"verb":"pause"}`:                           "body.jobs",
		`{"verb":"cancel","jobs":["j"]}`:             "body.jobs",
		`{"verb":"cancel","runs":["j@1"],"job":"j"}`: "body.runs",
		`{"verb":"end"}`:                             "body.verb",
	} {
		for _, path := range []string{"", "/preview"} {
			a := s.do("POST", operations+path, body).is(422)
			if p := into[api.Problem](a); len(p.Errors) == 0 || p.Errors[0].Location != location {
				t.Errorf("%s%s: got %s, want it to name %s", body, path, a.body, location)
			}
		}
	}
	for _, path := range []string{"", "/wait"} {
		s.do("GET", operations+"/never"+path, "").refuses(404, "no-operation", "")
	}
	s.do("POST", operations+"/never/cancel", "").refuses(404, "no-operation", "")
}

// TestRolesSayWhoMayDoWhatToMany looks takes a viewer, ends an operator and
// deletes a developer, and what is elsewhere is not found.
func TestRolesSayWhoMayDoWhatToMany(t *testing.T) {
	s := serve(t, gateway.Config{Tokens: true})
	viewer, _ := s.as("watch", map[string]job.Role{"default": job.Viewer})
	operator, id := s.as("ops", map[string]job.Role{"default": job.Operator})
	developer, _ := s.as("ci", map[string]job.Role{"default": job.Developer})
	elsewhere, _ := s.as("other", map[string]job.Role{"reports": job.Admin})
	const cancel, remove = `{"verb":"cancel","job":"j"}`, `{"verb":"delete","jobs":["j"]}`
	made := into[api.Operation](s.do("POST", operations, cancel, operator).is(202))
	equal(t, "by", made.By, "ops")
	one := operations + "/" + made.ID
	for _, c := range []struct {
		who, method, path, body string
		status                  int
	}{
		{viewer, "POST", operations, cancel, 403},
		{viewer, "POST", operations + "/preview", cancel, 200},
		{viewer, "GET", operations, "", 200},
		{viewer, "GET", one, "", 200},
		{viewer, "POST", one + "/cancel", "", 403},
		{operator, "POST", one + "/cancel", "", 200},
		{operator, "POST", operations, remove, 403},
		{developer, "POST", operations, remove, 202},
		{elsewhere, "POST", operations, cancel, 404},
		{elsewhere, "POST", operations + "/preview", cancel, 404},
		{elsewhere, "GET", one, "", 404},
		{elsewhere, "GET", strings.Replace(one, "default", "reports", 1), "", 404},
	} {
		if a := s.do(c.method, c.path, c.body, c.who); a.status != c.status {
			t.Errorf("%s %s %s as %.30q: got %d %s, want %d", c.method, c.path, c.body, c.who, a.status, a.body, c.status)
		}
	}
	page, err := s.node.Audit(t.Context(), job.AuditQuery{Who: id})
	if err != nil || len(page.Records) != 3 {
		t.Fatalf("got %+v, %v, want three records of the operator", page, err)
	}
	for i, want := range []string{"operation.begin 403 Forbidden", "operation.cancel ", "operation.begin "} {
		if got := page.Records[i].Verb + " " + page.Records[i].Outcome; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
