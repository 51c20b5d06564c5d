package gateway_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
)

const jobs = "/namespaces/reports/jobs"

// TestAJobFromItsDeclarationToItsEnd tells the whole story of a job.
func TestAJobFromItsDeclarationToItsEnd(t *testing.T) {
	s := serve(t, gateway.Config{})
	a := s.do("POST", jobs, `{"name":"nightly","processor":"echo","params":"a","schedule":{"when":"30 2 * * *","zone":"Europe/Berlin"}}`).is(201)
	equal(t, "tag", a.header.Get("ETag"), `"1"`)
	equal(t, "location", a.header.Get("Location"), "jobs/nightly")
	s.do("POST", jobs, `{"name":"nightly","processor":"echo","params":"a","schedule":{"when":"30 2 * * *","zone":"Europe/Berlin"}}`).is(201)
	s.do("POST", jobs, `{"name":"nightly","processor":"echo"}`).refuses(409, "exists", "")

	d := into[api.Job](s.do("GET", jobs+"/nightly", "").is(200))
	equal(t, "params", d.Spec.Params, "a")
	equal(t, "namespace", d.Spec.Namespace, "reports")
	next := into[api.NextFires](s.do("GET", jobs+"/nightly/next?n=3", "").is(200))
	if len(next.Fires) != 3 || !strings.Contains(next.Describe, "02:30") {
		t.Errorf("got %+v, want three fires and words", next)
	}

	d.Spec.Params = "b"
	a = s.do("PUT", jobs+"/nightly", text(t, d.Spec), `If-Match: "1"`).is(200)
	equal(t, "tag", a.header.Get("ETag"), `"2"`)
	s.do("PUT", jobs+"/nightly", text(t, d.Spec), `If-Match: "1"`).is(200) // it is so already
	d.Spec.Params = "c"
	s.do("PUT", jobs+"/nightly", text(t, d.Spec), `If-Match: "1"`).refuses(412, "revision", "")
	s.do("PUT", jobs+"/nightly", text(t, d.Spec), `If-Match: W/"2"`).refuses(422, "invalid", "header.If-Match")
	history := into[api.Revisions](s.do("GET", jobs+"/nightly/revisions", "").is(200))
	if len(history.Revisions) != 2 || history.Revisions[1].Spec.Params != "a" {
		t.Errorf("got %+v, want both revisions, the present one first", history)
	}

	s.do("POST", jobs+"/nightly/pause", `{"reason":"holidays"}`).is(204)
	s.do("GET", jobs, "").is(200).says(`"paused_for":"holidays"`)
	if d := into[api.Job](s.do("GET", jobs+"/nightly", "").is(200)); !d.Fires.Paused {
		t.Errorf("got %+v, want it to be paused", d.Fires)
	}
	s.do("POST", jobs+"/nightly/resume", "").is(204)
	b := into[api.Backfilled](s.do("POST", jobs+"/nightly/backfill", `{"from":"2026-03-01T00:00:00Z","until":"2026-03-03T00:00:00Z"}`).is(200))
	equal(t, "backfilled", b.Made, 2)
	s.do("DELETE", jobs+"/nightly", "").is(204)
	s.do("DELETE", jobs+"/nightly", "").refuses(404, "no-job", "")
	s.do("GET", jobs+"/nightly", "").refuses(404, "no-job", "")
	s.do("POST", jobs+"/nightly/pause", "").refuses(404, "no-job", "")
}

// TestOneOfManyWhoCreateAJobDoes has several create a job of one name, each
// another one, while others change it.
func TestOneOfManyWhoCreateAJobDoes(t *testing.T) {
	s := serve(t, gateway.Config{})
	for round := range 5 {
		path := fmt.Sprintf("%s/race%d", jobs, round)
		made := make([]int, 6)
		var wg sync.WaitGroup
		for i := range made {
			wg.Go(func() {
				body := fmt.Sprintf(`{"name":"race%d","processor":"echo","params":"%d","input":{"values":[%d]},"schedule":{"when":"every 1h","start":"2027-01-01T00:00:00Z"}}`, round, i, i)
				for range 2 { // which says the same twice
					made[i] = s.do("POST", jobs, body).status
				}
			})
		}
		wg.Wait()
		d := into[api.Job](s.do("GET", path, "").is(200))
		won, _ := strconv.Atoi(d.Spec.Params)
		for i, status := range made {
			if want := map[bool]int{true: 201, false: 409}[i == won]; status != want {
				t.Errorf("round %d: %d got %d, want %d: %d is what is there", round, i, status, want, won)
			}
		}
		equal(t, "revision", d.Revision, 1)
	}
}

func TestJobsComePageByPage(t *testing.T) {
	s := serve(t, gateway.Config{})
	for _, name := range []string{"a", "b", "c"} {
		s.do("PUT", jobs+"/"+name, `{"processor":"echo"}`).is(201)
	}
	s.do("PUT", "/namespaces/other/jobs/d", `{"processor":"echo"}`).is(201)
	var got []string
	for cursor := ""; ; {
		page := into[api.Jobs](s.do("GET", jobs+"?limit=2&cursor="+cursor, "").is(200))
		for _, j := range page.Jobs {
			got = append(got, j.Spec.Name)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	equal(t, "jobs", got, []string{"a", "b", "c"})
}

// TestJobsMoveBetweenClustersAsYAML exports jobs and imports them elsewhere.
func TestJobsMoveBetweenClustersAsYAML(t *testing.T) {
	s, there := serve(t, gateway.Config{}), serve(t, gateway.Config{})
	s.do("PUT", jobs+"/a", `{"processor":"echo","schedule":{"when":"every 5m"},"attempt_timeout":"90s"}`).is(201)
	s.do("PUT", jobs+"/b", "processor: echo\nlimits:\n- by: key\n  running: 2\n", "Content-Type: application/yaml").is(201)
	file := s.do("GET", "/namespaces/reports/export", "", "Accept: application/yaml").is(200)
	equal(t, "content type", file.header.Get("Content-Type"), "application/yaml")
	file.says("attempt_timeout: 1m30s\n", "by: key\n")

	dry := into[api.Imported](there.do("POST", "/namespaces/reports/import?dry_run=true", string(file.body), "Content-Type: application/yaml").is(200))
	if len(dry.Jobs) != 2 || !dry.Jobs[0].Changed {
		t.Errorf("got %+v, want what would be changed", dry)
	}
	there.do("GET", jobs+"/a", "").refuses(404, "no-job", "")
	if audit := into[job.AuditPage](there.do("GET", "/audit", "").is(200)); len(audit.Records) > 0 {
		t.Errorf("got %+v recorded of what changed nothing", audit.Records)
	}
	for _, changed := range []bool{true, false} {
		done := into[api.Imported](there.do("POST", "/namespaces/reports/import", string(file.body), "Content-Type: application/yaml").is(200))
		for _, j := range done.Jobs {
			if j.Changed != changed || j.Revision != 1 || j.Problem != nil {
				t.Errorf("got %+v, want revision 1, changed: %v", j, changed)
			}
		}
	}
	equal(t, "exported again", string(there.do("GET", "/namespaces/reports/export", "", "Accept: application/yaml").is(200).body), string(file.body))

	there.do("POST", "/namespaces/reports/import", `{"jobs":[{"name":"c","processor":"echo"},{"name":"d","processor":"echo","schedule":{"when":"never ever"}}]}`).
		refuses(422, "invalid", "body.jobs[1].schedule.when")
	there.do("GET", jobs+"/c", "").refuses(404, "no-job", "")
}

func TestASpecIsValidatedWithoutBeingDeclared(t *testing.T) {
	s := serve(t, gateway.Config{})
	v := into[api.Validated](s.do("POST", "/namespaces/reports/validate", `{"processor":"echo","schedule":{"when":"0 9 * * mon"}}`).is(200))
	if len(v.Fires) != 10 || v.Spec.Name != "echo" || v.Describe == "" {
		t.Errorf("got %+v, want fires, names and words", v)
	}
	equal(t, "jobs", len(into[api.Jobs](s.do("GET", jobs, "").is(200)).Jobs), 0)
}

func TestLimitsOfANamespace(t *testing.T) {
	s := serve(t, gateway.Config{})
	equal(t, "limits", len(into[api.Namespace](s.do("GET", "/namespaces/reports", "").is(200)).Limits), 0)
	s.do("PUT", "/namespaces/reports", `{"limits":[{"running":3,"rate":"10/1m"}]}`).is(200)
	got := into[api.Namespace](s.do("GET", "/namespaces/reports", "").is(200))
	if len(got.Limits) != 1 || got.Limits[0].Running != 3 {
		t.Errorf("got %+v, want the limits", got)
	}
	s.do("PUT", "/namespaces/reports", `{"limits":[{"rate":"often"}]}`).refuses(422, "invalid", "body.limits[0].rate")
}
