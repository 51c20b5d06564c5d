package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/gateway"
)

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEveryRefusalIsAProblemThatNamesTheField sends what can't be.
func TestEveryRefusalIsAProblemThatNamesTheField(t *testing.T) {
	s := serve(t, gateway.Config{})
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		method, path, body string
		status             int
		code, location     string
	}{
		{"PUT", jobs + "/a", `{}`, 422, "", "body"},
		{"PUT", jobs + "/a", `{"processor":"echo","shards":-1}`, 422, "", "body.shards"},
		{"PUT", jobs + "/a", `{"processor":"echo","shards":"many"}`, 422, "", "body.shards"},
		{"PUT", jobs + "/a", `{"processor":"echo","unknown":1}`, 422, "", "body.unknown"},
		{"PUT", jobs + "/a", `{"processor":"echo","attempt_timeout":"soon"}`, 422, "", "body.attempt_timeout"},
		{"PUT", jobs + "/a", `{"processor":"echo","attempt_timeout":"-1s"}`, 422, "invalid", "body.attempt_timeout"},
		{"PUT", jobs + "/a", `{"processor":"echo","mode":"turbo"}`, 422, "", "body.mode"},
		{"PUT", jobs + "/a", `{"processor":"e cho"}`, 422, "invalid", "body.processor"},
		{"PUT", jobs + "/a", `{"name":"b","processor":"echo"}`, 422, "invalid", "body.name"},
		{"PUT", jobs + "/a", `{"namespace":"other","processor":"echo"}`, 422, "invalid", "body.namespace"},
		{"PUT", jobs + "/a", `{"processor":"echo","retry":{"losses":1}}`, 422, "invalid", "body.retry.losses"},
		{"PUT", jobs + "/a", `{"processor":"echo","retry":{"backoff":{"factor":0.5}}}`, 422, "invalid", "body.retry.backoff.factor"},
		{"PUT", jobs + "/a", `{"processor":"echo","placement":{"affinity":"k"}}`, 422, "invalid", "body.placement.affinity"},
		{"PUT", jobs + "/a", `{"processor":"echo","input":{"values":[1],"globs":["x"]}}`, 422, "invalid", "body.input"},
		{"PUT", jobs + "/a", `{"processor":"echo","limits":[{"running":1},{"by":"namespace","running":1}]}`, 422, "invalid", "body.limits[1].by"},
		{"PUT", jobs + "/a", `{"processor":"echo","schedule":{"when":"61 * * * *"}}`, 422, "invalid", "body.schedule.when"},
		{"PUT", jobs + "/a", `{"processor":"echo","schedule":{"when":"0 0 30 2 *"}}`, 422, "invalid", "body.schedule.when"},
		{"PUT", jobs + "/a", `{"processor":"echo","schedule":{"when":"every 1m","zone":"Mars/Olympus"}}`, 422, "invalid", "body.schedule.zone"},
		{"PUT", jobs + "/a", `{"processor":"echo","schedule":{"when":"every 1m","blackout":[{"from":"25:00","to":"26:00"}]}}`, 422, "invalid", "body.schedule.blackout[0]"},
		{"PUT", jobs + "/a", `{"processor":"echo","schedule":{"when":"upstream all of a"}}`, 422, "invalid", "body.schedule.when"},
		{"PUT", jobs + "/" + long, `{"processor":"echo"}`, 422, "", "path.job"},
		{"PUT", jobs + "/a%20b", `{"processor":"echo"}`, 422, "invalid", "body.name"},
		{"PUT", jobs + "/a", `{"processor":`, 400, "", "body"},
		{"PUT", jobs + "/a", ``, 400, "", ""},
		{"PUT", jobs + "/a", `{"processor":"echo","params":"` + strings.Repeat("x", 5<<20) + `"}`, 413, "", ""},
		{"GET", jobs + "?limit=0", "", 422, "", "query.limit"},
		{"GET", jobs + "?limit=many", "", 422, "", "query.limit"},
		{"GET", jobs + "?cursor=%21", "", 422, "invalid", "query.cursor"},
		{"GET", jobs + "?colour=red", "", 422, "", "query.colour"},
		{"POST", jobs + "/none/runs", "", 404, "no-job", ""},
		{"POST", "/namespaces/default/runs", `{"spec":{"processor":"nobody"}}`, 422, "invalid", "body.spec.processor"},
		{"POST", "/namespaces/default/runs", `{"spec":{"processor":"echo"},"delay":"-1s"}`, 422, "invalid", "body.delay"},
		{"POST", "/namespaces/default/runs", `{"spec":{"processor":"echo"},"delay":"1s","at":"2030-01-01T00:00:00Z"}`, 422, "invalid", "body.at"},
		{"GET", "/namespaces/default/runs?state=asleep", "", 422, "", "query.state[0]"},
		{"GET", "/namespaces/default/runs?from=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z", "", 422, "invalid", "query.until"},
		{"GET", "/namespaces/default/runs?from=yesterday", "", 422, "", "query.from"},
		{"GET", "/namespaces/default/runs/none@1", "", 404, "no-run", ""},
		{"GET", "/namespaces/default/runs/none@1/wait?timeout=1h", "", 422, "invalid", "query.timeout"},
		{"POST", "/namespaces/default/runs/none@1/cancel", "", 404, "no-run", ""},
		{"POST", "/namespaces/default/runs/none@1/retry", "", 404, "no-run", ""},
		{"GET", "/nowhere", "", 404, "no-path", ""},
		{"PATCH", jobs, "", 405, "no-method", ""},
		{"GET", "/namespaces/default//jobs", "", 404, "no-path", ""},
		{"GET", "/namespaces/default/jobs/", "", 404, "no-path", ""},
	} {
		s.do(c.method, c.path, c.body).refuses(c.status, c.code, c.location)
	}
	s.do("PUT", jobs+"/a", "processor: [", "Content-Type: application/yaml").refuses(400, "", "body")
	s.do("PUT", jobs+"/a", "processor=echo", "Content-Type: application/x-www-form-urlencoded").refuses(415, "media-type", "").says("curl --json")
	for header, code := range map[string]string{"Origin: http://evil.example": "cross-origin", "Sec-Fetch-Site: cross-site": "cross-origin", "Host: evil.example": "host"} {
		s.do("POST", jobs+"/a/pause", "", header).refuses(403, code, "")
	}
	s.do("GET", jobs, "", "Host: evil.example").refuses(403, "host", "")
	s.do("GET", jobs, "", "Host: localhost:8080").is(200)
	if got := s.do("PATCH", jobs, "").header.Get("Allow"); !strings.Contains(got, "GET") {
		t.Errorf("got Allow %q, want the methods there are", got)
	}
}
