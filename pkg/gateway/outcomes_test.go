package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
)

// input makes a run map over n values.
func input(n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprint(i)
	}
	return "[" + strings.Join(values, ",") + "]"
}

func TestTasksAndAttemptsComePageByPage(t *testing.T) {
	s := serve(t, gateway.Config{})
	a := s.do("POST", runs, `{"spec":{"name":"j","processor":"odd","mode":"map","retry":{"attempts":2,"backoff":{"initial":"1ms","factor":1}},"tolerate":{"share":1},"input":{"values":`+input(2500)+`}}}`).is(201)
	path := "/namespaces/default/" + a.header.Get("Location")
	r := s.over(path)
	equal(t, "failed", r.Progress.Failed, 1250)
	for _, c := range []struct {
		query string
		want  int
	}{
		{"/tasks?", 2500},
		{"/tasks?state=failed&", 1250},
		{"/tasks?state=succeeded&", 1250},
		{"/tasks?task=m7&", 1},
		{"/tasks?task=r&", 0},
		{"/attempts?", 3750},
		{"/attempts?state=failed&", 2500},
		{"/attempts?task=m7&", 2},
		{"/attempts?node=" + s.node.ID() + "&", 3750},
		{"/attempts?node=x&", 0},
	} {
		for _, limit := range []int{1000, 333} {
			seen := map[string]int{}
			for cursor := ""; ; {
				page := into[api.Attempts](s.do("GET", fmt.Sprintf("%s%slimit=%d&cursor=%s", path, c.query, limit, cursor), "").is(200))
				if len(page.Attempts) > limit {
					t.Fatalf("%s: got %d, want at most %d", c.query, len(page.Attempts), limit)
				}
				for _, x := range page.Attempts {
					seen[fmt.Sprint(x.Task, "#", x.Attempt)]++
					if odd := strings.ContainsAny(x.Task[len(x.Task)-1:], "13579"); odd != (x.State != "succeeded") || odd != (x.Reason != "") {
						t.Fatalf("got %+v, want what the processor did", x)
					}
				}
				if cursor = page.Next; cursor == "" {
					break
				}
			}
			equal(t, c.query, len(seen), c.want)
			for id, n := range seen {
				if n != 1 {
					t.Errorf("%s: %s is there %d times", c.query, id, n)
				}
			}
		}
	}
	s.do("GET", path+"/tasks?cursor=x", "").refuses(422, "invalid", "query.cursor")
	s.do("GET", path+"/tasks?task=x1", "").refuses(422, "", "query.task")
	s.do("GET", runs+"/none@1/tasks", "").refuses(404, "no-run", "")
}

func TestWhatARunReturnedIsPagedAndDownloaded(t *testing.T) {
	s := serve(t, gateway.Config{})
	a := s.do("POST", runs, `{"spec":{"name":"j","processor":"double","mode":"map","input":{"values":`+input(250)+`}}}`).is(201)
	path := "/namespaces/default/" + a.header.Get("Location")
	s.over(path)
	at := 0
	for cursor := ""; ; {
		page := into[api.Result](s.do("GET", path+"/result?limit=99&cursor="+cursor, "").is(200))
		for _, item := range page.Items {
			if item.Value != float64(2*at) {
				t.Fatalf("got %+v, want %d", item, 2*at)
			}
			at++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	equal(t, "items", at, 250)
	all := s.do("GET", path+"/result/download", "").is(200)
	equal(t, "lines", strings.Count(string(all.body), "\n"), 250)
	all.says(`{"task":"m249","value":498}`)

	failed := s.run("fail", "")
	s.over(failed)
	s.do("GET", failed+"/result", "").refuses(409, "final", "").says("out of paper")
	waits := s.run("wait", "")
	s.do("GET", waits+"/result", "").refuses(409, "not-final", "")
	s.do("GET", waits+"/result/download", "").refuses(409, "not-final", "")
	s.do("POST", waits+"/stop", "").is(200)
}

func TestWhatJSONHasNoWordForStaysEncoded(t *testing.T) {
	s := serve(t, gateway.Config{})
	path := s.run("nan", "")
	s.over(path)
	got := into[api.Result](s.do("GET", path+"/result", "").is(200)).Items
	if len(got) != 1 || !got[0].Encoded || got[0].Value == "" {
		t.Errorf("got %+v, want the value as it was written", got)
	}
	s.do("GET", path+"/result/download", "").is(200).says(`"encoded":true`)
}
