package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// Who changed what is recorded where it is known: what comes over HTTP by
// whoever answers there, who knows the token, and what a visitor of the pool
// asks for, as muster's own verbs do, by the node that carries it out. What a
// program does by the methods of the node that it embeds is its own business.

// Record keeps the record of something that somebody asked for. When it returns
// the record is durable. An empty ID or At is filled in.
func (n *Node) Record(ctx context.Context, a job.Audit) error {
	a.ID = cmp.Or(a.ID, rand.Text())
	if a.At.IsZero() {
		a.At = n.wall().UTC()
	}
	if _, err := lead[wire.Nothing](ctx, n, wire.MethodRecord, a); err != nil {
		return fmt.Errorf("node: audit: %w", plain(err))
	}
	return nil
}

// Audit returns the records that are asked for, the latest first. A page may
// have fewer than its limit, or none, and still a next one.
func (n *Node) Audit(ctx context.Context, q job.AuditQuery) (job.AuditPage, error) {
	q.Limit = min(cmp.Or(max(q.Limit, 0), 100), 1000)
	page, err := lead[job.AuditPage](ctx, n, wire.MethodAudit, q)
	if err != nil {
		return page, fmt.Errorf("node: audit: %w", plain(err))
	}
	return page, nil
}

// forgetAuditAfter is how many new records make the leader remove old ones.
const forgetAuditAfter = 1000

func (l *leader) keepAudit(ctx context.Context, a job.Audit) (none wire.Nothing, err error) {
	if err := l.state.Record(ctx, a); err != nil {
		return none, err
	}
	if l.audited.Add(1)%forgetAuditAfter == 0 {
		l.wg.Go(func() { l.tidied(l.forgetAudit()) })
	}
	return none, nil
}

// forgetAudit removes the records that are too old or too many.
func (l *leader) forgetAudit() error {
	return l.state.ForgetAudit(l.ctx, l.n.cfg.AuditRecords, l.n.wall().Add(-l.n.cfg.AuditFor))
}

// witnessTimeout bounds how long an answer waits for the record of it.
const witnessTimeout = 5 * time.Second

// witness records what a visitor asked for by a method, if that changes
// something, and what became of it. Runs that are submitted and events are
// work, not a change of what there is, and are not recorded: there may be
// thousands in a second.
func (n *Node) witness(from, method string, req any, outcome error) {
	a, ok := n.deedOf(method, req)
	if !ok || from == n.id {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, witnessTimeout)
	defer cancel()
	name, visits := n.visitor(ctx, from)
	if !visits {
		return
	}
	a.Who, a.From = "node "+name, n.transport.Remote(from)
	if outcome != nil {
		a.Outcome = plain(outcome).Error()
	}
	if err := n.Record(ctx, a); err != nil {
		n.log.Warn("what a visitor asked for could not be recorded", telemetry.Member(n.nameOf(from)), telemetry.Err(err))
	}
}

// visitor returns the name of a node, and whether it only asks. Gossip may not
// have told of one yet that has just come: then it is asked itself.
func (n *Node) visitor(ctx context.Context, id string) (name string, visits bool) {
	if m, ok := n.members.Member(id); ok {
		return m.Name, !m.Has(roleWorker) && !m.Has(roleServer)
	}
	about, err := call[wire.Describe](ctx, n, id, wire.MethodDescribe, wire.Nothing{})
	if err != nil {
		return n.nameOf(id), true
	}
	return about.Name, about.Client
}

// deedOf says what a call of this node asks for, if that is recorded.
func (n *Node) deedOf(method string, req any) (a job.Audit, ok bool) {
	if a.Verb, ok = deeds[method]; !ok {
		return a, false
	}
	switch r := req.(type) {
	case wire.PutJobRequest:
		a.Namespace, a.Object = r.Spec.Namespace, r.Spec.Name
	case wire.JobRef:
		a.Namespace, a.Object = r.Namespace, r.Name
	case wire.Backfill:
		a.Namespace, a.Object = r.Namespace, r.Name
	case job.Run:
		a.Namespace, a.Object = r.Spec.Namespace, r.Spec.Name
	case wire.RunRef:
		a.Namespace, a.Object = r.Run.Namespace(), string(r.Run)
		if r.Now {
			a.Verb = "run.stop"
		}
	case wire.Retry:
		a.Namespace, a.Object = r.Run.Namespace(), string(r.Run)
	case wire.BeginBulk:
		a.Namespace, a.Object = r.Bulk.Namespace, r.ID
	case wire.OperationRef:
		a.Namespace, a.Object = r.Namespace, r.ID
	case job.Namespace:
		a.Namespace, a.Object = r.Name, r.Name
	case wire.NewToken:
		a.Object = r.Token.ID
	case wire.TokenRef:
		a.Object = r.ID
	case wire.Drain:
		a.Object = n.cfg.Name
		if r.Off {
			a.Verb = "node.undrain"
		}
	}
	return a, true
}

// deeds are the methods that are recorded, and what they are called.
var deeds = map[string]string{
	wire.MethodPutJob:          "job.put",
	wire.MethodDeleteJob:       "job.delete",
	wire.MethodPause:           "job.pause",
	wire.MethodResume:          "job.resume",
	wire.MethodRunJob:          "job.run",
	wire.MethodBackfill:        "job.backfill",
	wire.MethodEnd:             "run.cancel",
	wire.MethodRetry:           "run.retry",
	wire.MethodBulk:            "operation.begin",
	wire.MethodCancelOperation: "operation.cancel",
	wire.MethodPutNamespace:    "namespace.put",
	wire.MethodPutToken:        "token.create",
	wire.MethodRevokeToken:     "token.revoke",
	wire.MethodDrain:           "node.drain",
}
