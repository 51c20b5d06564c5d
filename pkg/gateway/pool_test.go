package gateway_test

import (
	"slices"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
)

func TestThePoolShowsItself(t *testing.T) {
	s := serve(t, gateway.Config{})
	c := into[api.Cluster](s.do("GET", "/cluster", "").is(200))
	if c.Leader != s.node.ID() || len(c.Voters) != 1 || !c.Voters[0].InPool || c.Health != "healthy" || c.Members != 1 || c.Name != "muster" {
		t.Errorf("got %+v, want a healthy cluster of one", c)
	}
	nodes := into[api.Nodes](s.do("GET", "/nodes", "").is(200)).Nodes
	if len(nodes) != 1 || nodes[0].Name != "n0" || nodes[0].Slots != 2 {
		t.Errorf("got %+v, want the node", nodes)
	}
	for _, name := range []string{"n0", s.node.ID()} {
		equal(t, name, into[api.Node](s.do("GET", "/nodes/"+name, "").is(200)).ID, s.node.ID())
	}
	s.do("GET", "/nodes/none", "").refuses(404, "no-node", "")
	s.do("POST", "/nodes/none/drain", "").refuses(404, "no-node", "")
	known := into[api.Processors](s.do("GET", "/processors", "").is(200)).Processors
	if !slices.ContainsFunc(known, func(p api.Processor) bool { return p.Name == "echo" && slices.Equal(p.Nodes, []string{s.node.ID()}) }) {
		t.Errorf("got %+v, want what the node can run", known)
	}
}

func TestANodeIsDrained(t *testing.T) {
	s := serve(t, gateway.Config{})
	equal(t, "draining", into[api.Node](s.do("POST", "/nodes/n0/drain", "").is(202)).Draining, true)
	s.do("POST", "/nodes/n0/undrain", "").is(204)
	equal(t, "draining", into[api.Node](s.do("GET", "/nodes/n0", "").is(200)).Draining, false)
}

func TestAnEventMakesARun(t *testing.T) {
	s := serve(t, gateway.Config{})
	s.do("PUT", "/namespaces/default/jobs/bill", `{"processor":"echo","schedule":{"when":"event order.paid"}}`).is(201)
	sent := into[api.Sent](s.do("POST", "/namespaces/default/events", `{"name":"order.paid","data":{"amount":5}}`, "Idempotency-Key: order-1").is(200))
	equal(t, "sent", sent, api.Sent{ID: "order-1", Jobs: 1})
	again := into[api.Sent](s.do("POST", "/namespaces/default/events", `{"name":"order.paid","id":"order-1"}`).is(200))
	equal(t, "known", again.Known, true)
	s.do("POST", "/namespaces/default/events", `{"name":"order paid"}`).refuses(422, "invalid", "body.name")
	s.do("POST", "/namespaces/default/events", `{"name":"a","id":"b"}`, "Idempotency-Key: c").refuses(422, "invalid", "header.Idempotency-Key")
}

func TestASchedulesFiresAreShownBeforeItIsSaved(t *testing.T) {
	s := serve(t, gateway.Config{})
	got := into[api.NextFires](s.do("POST", "/preview", `{"schedule":{"when":"30 2 * * *","zone":"Europe/Berlin"},"after":"2027-03-26T12:00:00Z","n":3}`).is(200))
	if len(got.Fires) != 3 || len(got.Fires[1].Notes) == 0 {
		t.Errorf("got %+v, want three fires and a note about the one that its day lacks", got)
	}
	s.do("POST", "/preview", `{"schedule":{"when":"sometimes"}}`).refuses(422, "invalid", "body.schedule.when")
}

func TestNamespacesAreThoseThatHaveSomething(t *testing.T) {
	s := serve(t, gateway.Config{})
	s.do("PUT", "/namespaces/limited", `{"limits":[{"running":3}]}`).is(200)
	for _, ns := range []string{"a", "b"} {
		s.do("PUT", "/namespaces/"+ns+"/jobs/one", `{"processor":"echo"}`).is(201)
		s.do("PUT", "/namespaces/"+ns+"/jobs/two", `{"processor":"echo"}`).is(201)
	}
	for range 2 {
		s.do("POST", "/namespaces/ran/runs", `{"spec":{"processor":"echo"}}`).is(201)
	}
	equal(t, "namespaces", into[api.NamespaceNames](s.do("GET", "/namespaces", "").is(200)).Namespaces, []string{"a", "b", "limited", "ran"})
}
