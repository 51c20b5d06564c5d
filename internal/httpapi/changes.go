package httpapi

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// followFor is how long changes are followed before who reads has to come back:
// what his token may see is looked at again then.
const followFor = 10 * time.Minute

func (a *server) changes() {
	o := get("followChanges", "/namespaces/{namespace}/changes", "changes", "Follow what changes of runs, jobs and bulk operations, as server-sent events")
	o.lasting = true
	o.text = trimmed(`The events are run, job and operation, each with a Change as its data, and reset. A reset says that what changed before is not known:
		it comes first for those who do not say where to go on, and whenever that was too long ago or they read too slowly. Who lists what matters to him
		after a reset, and takes in what follows, knows how everything is; a list may have some of what follows already. An id without an event says how far
		the stream is. It ends after ten minutes, or when nobody can tell of changes: come back with the last id.`)
	o.answers = eventStream("Events until the reader has enough. Any node goes on behind the id that another has sent, or says reset.")
	register(a, o, a.followChanges)
	a.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Change](), true, "Change")
}

func (a *server) followChanges(ctx context.Context, in *struct {
	InNamespace
	Resume
	Job string `query:"job" maxLength:"100" doc:"Only changes of this job and its runs. Empty means all, those of bulk operations too."`
},
) (*streamed, error) {
	q := job.ChangeQuery{Namespace: in.Namespace, Job: in.Job, After: in.LastEventID}
	var first job.ChangePage
	for page, err := range a.pool.Changes(ctx, q) {
		if err != nil {
			return nil, err
		}
		first = page
		break
	}
	return &streamed{func(out huma.Context) {
		s := events(out)
		defer s.end()
		ctx, cancel := context.WithTimeout(ctx, followFor)
		defer cancel()
		if !s.page(in.Namespace, &first) {
			return
		}
		q.After = first.Next
		for page, err := range a.pool.Changes(ctx, q) {
			if err != nil {
				a.log.Debug("changes can't be followed", slog.String("namespace", in.Namespace), telemetry.Err(err))
				return // who reads comes back
			}
			if !s.page(in.Namespace, &page) {
				return
			}
		}
	}}, nil
}

// page sends the changes of a page, or how far it is.
func (s *stream) page(namespace string, page *job.ChangePage) bool {
	var text strings.Builder
	last := ""
	for _, c := range api.ChangesOf(namespace, page) {
		e, err := eventText(c.ID, cmp.Or(string(c.Of), c.What), c)
		if err != nil {
			return false
		}
		text.WriteString(e)
		last = c.ID
	}
	if last != page.Next {
		text.WriteString("id: " + page.Next + "\n\n")
	}
	return s.put(text.String())
}
