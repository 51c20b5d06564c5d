package gateway_test

import (
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
	"github.com/musterhq/muster/pkg/job"
)

// TestInlineValuesAreExportedAsTheyAre in either form, so that whoever imports
// them again changes nothing.
func TestInlineValuesAreExportedAsTheyAre(t *testing.T) {
	s := serve(t, gateway.Config{})
	const values = `[1,2.0,-1e+30,"2.0","yes",null,true,{"2026-01-01":"x: y","a":[1,1.5]},9007199254740993]`
	s.do("PUT", jobs+"/a", `{"processor":"echo","input":{"values":`+values+`}}`).is(201).says(`"values":` + values)
	s.do("PUT", jobs+"/none", `{"processor":"echo","input":{"values":[]}}`).is(201)
	s.do("GET", jobs+"/a", "").is(200).says(`"values":` + values)
	s.do("GET", jobs+"/none", "").is(200).says(`"values":[]`)
	if list := s.do("GET", jobs, "").is(200); strings.Contains(string(list.body), `"values":`) {
		t.Errorf("got %s, want no values where jobs are listed", list.body)
	}
	for _, form := range []string{"application/json", "application/yaml"} {
		file := s.do("GET", "/namespaces/reports/export", "", "Accept: "+form).is(200)
		for _, path := range []string{"/namespaces/reports/import?dry_run=true", "/namespaces/reports/import"} {
			done := into[api.Imported](s.do("POST", path, string(file.body), "Content-Type: "+form).is(200))
			if len(done.Jobs) != 2 || done.Jobs[0].Changed || done.Jobs[1].Changed {
				t.Errorf("%s, %s: got %+v, want nothing changed by\n%s", form, path, done.Jobs, file.body)
			}
		}
	}
	const other = `{"jobs":[{"name":"a","processor":"echo","input":{"values":[1]}},{"name":"none","processor":"echo"}]}`
	for _, path := range []string{"/namespaces/reports/import?dry_run=true", "/namespaces/reports/import"} {
		done := into[api.Imported](s.do("POST", path, other).is(200))
		if !done.Jobs[0].Changed || !done.Jobs[1].Changed {
			t.Errorf("%s: got %+v, want both changed", path, done.Jobs)
		}
	}
}

// TestAnExportThatWouldLoseValuesIsRefused by the name of the job.
func TestAnExportThatWouldLoseValuesIsRefused(t *testing.T) {
	s := serve(t, gateway.Config{})
	if _, err := s.node.PutJob(t.Context(), job.Spec{Namespace: "reports", Name: "raw", Processor: "echo", Input: job.Values([]byte{0xff})}, 0); err != nil {
		t.Fatal(err)
	}
	s.do("GET", "/namespaces/reports/export", "").refuses(422, "invalid", "").says("reports/raw", "no word for")
	s.do("GET", jobs+"/raw", "").is(200).says(`"values_unshown":true`)
	s.do("DELETE", jobs+"/raw", "").is(204)
	large := `{"processor":"echo","input":{"values":["` + strings.Repeat("x", 900<<10) + `"]}}`
	for i := range 19 {
		s.do("PUT", jobs+"/large"+string(rune('a'+i)), large).is(201)
	}
	s.do("GET", "/namespaces/reports/export", "").refuses(422, "invalid", "").says("reports/larges", "an import takes")
}
