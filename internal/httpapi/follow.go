package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterhq/muster/pkg/api"
)

// watchEvery is how often a run that changes is looked at.
const watchEvery = 500 * time.Millisecond

func (a *server) watched() {
	o := get("watchRun", oneRun+"/watch", "runs", "Follow a run until it is over, as server-sent events")
	o.lasting = true
	o.answers = eventStream("An event run with a Run as its data, at once and whenever it has changed. The stream ends behind the one in which the run is over. Each has all there is to say, so who comes back misses nothing.")
	register(a, o, a.watchRun)
}

func (a *server) watchRun(ctx context.Context, in *struct {
	OfRun
	Resume
},
) (*streamed, error) {
	first, err := a.run(ctx, in.id())
	if err != nil {
		return nil, err
	}
	return &streamed{func(out huma.Context) {
		s := events(out)
		defer s.end()
		last := in.LastEventID
		show := func(r *api.Run) bool {
			id := digest(r)
			if id == last {
				return true
			}
			last = id
			return s.send(id, "run", r)
		}
		if !show(&first.Body) || isOver(first.Body.State) {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for range a.pool.Watch(ctx, in.id(), watchEvery) {
			r, err := a.run(ctx, in.id())
			if err != nil {
				continue // it is asked again
			}
			if !show(&r.Body) || isOver(r.Body.State) {
				return
			}
		}
		if ctx.Err() == nil {
			if r, err := a.run(ctx, in.id()); err == nil {
				show(&r.Body)
			}
		}
	}}, nil
}

func isOver(state string) bool {
	return state == "succeeded" || state == "failed" || state == "canceled"
}

// digest is the id of an event that says all of something: it is the same if
// that is.
func digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
