package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// cluster is what concerns no namespace: the nodes, and what they can run.
func (a *server) cluster() {
	register(a, get("getCluster", "/cluster", "cluster", "Show who leads, who votes, and what is not as it should be"), a.getCluster)
	register(a, get("listNodes", "/nodes", "nodes", "List the members of the pool and what they do"), a.listNodes)
	register(a, get("getNode", "/nodes/{node}", "nodes", "Show a member of the pool"), a.getNode)
	o := write(job.Admin, "drainNode", http.MethodPost, "/nodes/{node}/drain", "nodes", "Have a node take no more work")
	o.status = http.StatusAccepted
	o.text = "What it conducts goes to others, what it executes comes to its end. It lasts until undrain, or until the node is started again. running, queued and masters of the node tell when it is done."
	register(a, o, a.drainNode)
	o = write(job.Admin, "undrainNode", http.MethodPost, "/nodes/{node}/undrain", "nodes", "Have a node take work again")
	o.status = http.StatusNoContent
	register(a, o, a.undrainNode)
	register(a, get("listProcessors", "/processors", "nodes", "List what the members of the pool can run"), a.listProcessors)
	o = write(job.Viewer, "previewTrigger", http.MethodPost, "/preview", "jobs", "Show when a schedule would be due")
	o.role, o.write = anyone, false
	register(a, o, a.previewTrigger)
	o = write(job.Operator, "sendEvent", http.MethodPost, "/namespaces/{namespace}/events", "events", "Tell the cluster of something that has happened")
	o.text = "Jobs with a trigger as in \"event order.paid\" are due for it. Sent again with the same ID, or Idempotency-Key, it changes nothing."
	register(a, o, a.sendEvent)
}

// muchSkew is how far a clock may be off before it is worth a word.
const muchSkew = api.Duration(time.Second)

func (a *server) getCluster(ctx context.Context, _ *struct{}) (*reply[api.Cluster], error) {
	c, err := a.pool.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	nodes := a.pool.Nodes()
	c.Members = len(nodes)
	for _, n := range nodes {
		off := max(n.Ahead, -n.Ahead)
		c.Skew = max(c.Skew, off)
		if off > muchSkew+n.Within {
			c.Health = "degraded"
			c.Why = append(c.Why, "the clock of node "+n.Name+" is "+n.Ahead.String()+" ahead of the leader's")
		}
	}
	return &reply[api.Cluster]{Body: c}, nil
}

func (a *server) nodes() []api.Node {
	nodes := a.pool.Nodes()
	for i := range nodes {
		nodes[i].Draining = slices.Contains(nodes[i].Roles, "draining")
	}
	return nodes
}

func (a *server) listNodes(context.Context, *struct{}) (*reply[api.Nodes], error) {
	return &reply[api.Nodes]{Body: api.Nodes{Nodes: a.nodes()}}, nil
}

// OfNode is the part of a path that says which node.
type OfNode struct {
	Node string `path:"node" maxLength:"200" doc:"The ID of a node, or its name if no other has that."`
}

var errNoNode = &refused{"no-node", "there is no such member of the pool, or more than one: see nodes for those there are"}

func (a *server) node(name string) (*api.Node, error) {
	var found *api.Node
	for _, n := range a.nodes() {
		switch {
		case n.ID == name:
			return &n, nil
		case n.Name == name && found != nil:
			return nil, errNoNode
		case n.Name == name:
			found = &n
		}
	}
	if found == nil {
		return nil, errNoNode
	}
	return found, nil
}

func (a *server) getNode(_ context.Context, in *OfNode) (*reply[api.Node], error) {
	n, err := a.node(in.Node)
	if err != nil {
		return nil, err
	}
	return &reply[api.Node]{Body: *n}, nil
}

// drainAnswer is how long a request waits for a node to have nothing to do.
const drainAnswer = 2 * time.Second

func (a *server) drainNode(ctx context.Context, in *OfNode) (*reply[api.Node], error) {
	waiting, cancel := context.WithTimeout(ctx, drainAnswer)
	defer cancel()
	if err := a.pool.Drain(waiting, in.Node); err != nil && !errors.Is(waiting.Err(), context.DeadlineExceeded) {
		return nil, err
	}
	return a.getNode(ctx, in)
}

func (a *server) undrainNode(ctx context.Context, in *OfNode) (*none, error) {
	return nil, a.pool.Undrain(ctx, in.Node)
}

func (a *server) listProcessors(context.Context, *struct{}) (*reply[api.Processors], error) {
	return &reply[api.Processors]{Body: api.Processors{Processors: a.pool.Processors()}}, nil
}

func (a *server) previewTrigger(_ context.Context, in *struct{ Body api.Preview }) (*reply[api.NextFires], error) {
	fires, err := a.pool.Preview(in.Body.Schedule.Trigger(), in.Body.After, cmp.Or(in.Body.N, 10))
	if err != nil {
		return nil, err
	}
	return &reply[api.NextFires]{Body: api.NextFires{Describe: inWords(in.Body.Schedule.When), Fires: fires}}, nil
}

func (a *server) sendEvent(ctx context.Context, in *struct {
	InNamespace
	Once
	Body api.Event
},
) (*reply[api.Sent], error) {
	if in.IdempotencyKey != "" && in.Body.ID != "" && in.IdempotencyKey != in.Body.ID {
		return nil, invalid("header.Idempotency-Key", "want either it or body.id, which says the same", in.IdempotencyKey)
	}
	e := job.Event{Namespace: in.Namespace, Name: in.Body.Name, ID: cmp.Or(in.Body.ID, in.IdempotencyKey), Data: in.Body.Data}
	sent, err := a.pool.Send(ctx, e)
	if err != nil {
		return nil, err
	}
	return &reply[api.Sent]{Body: sent}, nil
}
