package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

func (a *server) logs() {
	o := get("listLogs", oneRun+"/logs", "logs", "Show what a run has logged, page by page")
	register(a, o, a.listLogs)
	o = get("followLogs", oneRun+"/logs/follow", "logs", "Follow what a run logs until it is over, as server-sent events")
	o.lasting = true
	o.answers = eventStream("An event line with a LogLine as its data for each line, those that there are first, and an event end behind the last. The id of each is its cursor.")
	register(a, o, a.followLogs)
	o = get("downloadLogs", oneRun+"/logs/download", "logs", "Download all that a run has logged, as text")
	o.lasting = true
	o.answers = answered("text/plain", "All lines. The trailer Repr-Digest has the SHA-256 of them, by which one knows that none is missing.")
	register(a, o, a.downloadLogs)
}

// Lines says which lines of a run are wanted.
type Lines struct {
	Level   string `query:"level" enum:"all,debug,info,warn,error" default:"info" doc:"The least level."`
	Node    string `query:"node" maxLength:"200" doc:"Only lines of the node of this name."`
	Task    string `query:"task" maxLength:"40" doc:"Only lines of this task." example:"m12"`
	Attempt int    `query:"attempt" minimum:"0" doc:"Only lines of this attempt. 0 means all."`
	Text    string `query:"text" maxLength:"1000" doc:"Only lines with this text."`
	Regexp  string `query:"regexp" maxLength:"1024" doc:"Only lines that this expression matches."`
}

func (l *Lines) query() (job.LogQuery, error) {
	q := job.LogQuery{Node: l.Node, Task: l.Task, Attempt: l.Attempt, Text: l.Text, Regexp: l.Regexp, Level: job.LogAll}
	if l.Level != "all" {
		if err := q.Level.UnmarshalText([]byte(l.Level)); err != nil {
			return q, invalid("query.level", "want all, debug, info, warn or error", l.Level)
		}
	}
	return q, nil
}

func (a *server) listLogs(ctx context.Context, in *struct {
	OfRun
	Lines
	Order  string `query:"order" enum:"asc,desc" default:"asc" doc:"asc is from the first line on, desc from the last."`
	Cursor string `query:"cursor" maxLength:"500" doc:"The cursor of a line, to go on behind it."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most."`
},
) (*reply[api.LogLines], error) {
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	q.Cursor, q.Backward, q.Limit = in.Cursor, in.Order == "desc", in.Limit+1
	out := &reply[api.LogLines]{Body: api.LogLines{Lines: []api.LogLine{}}}
	for l, err := range a.pool.Logs(ctx, in.id(), q) {
		if err != nil {
			return nil, a.problemOf(ctx, err, "query")
		}
		if n := len(out.Body.Lines); n == in.Limit {
			out.Body.Next = out.Body.Lines[n-1].Cursor
			break
		}
		out.Body.Lines = append(out.Body.Lines, lineOf(&l))
	}
	return out, nil
}

func lineOf(l *job.LogLine) api.LogLine {
	out := api.LogLine{
		Time: l.Time, Level: l.Level.String(), Node: l.Node, Attempt: l.Attempt, Seq: l.Seq, Text: l.Text, Dropped: l.Dropped, Cursor: l.Cursor(),
	}
	if l.Attempt > 0 {
		out.Task = l.Task.String()
	}
	for _, attr := range l.Attrs {
		out.Attrs = append(out.Attrs, api.LogAttr(attr))
	}
	return out
}

func (a *server) followLogs(ctx context.Context, in *struct {
	OfRun
	Lines
	Resume
	Last int `query:"last" minimum:"0" maximum:"1000" doc:"Begin with so many of the latest lines. 0 means with all."`
},
) (*streamed, error) {
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	q.Follow, q.Limit = true, in.Last
	var seen *job.LogLine
	if in.LastEventID != "" {
		place, err := job.LogPlace(in.LastEventID)
		if err != nil {
			return nil, invalid("header.Last-Event-ID", "want the id of a line, or nothing", in.LastEventID)
		}
		seen, q.Limit = &place, 0
	}
	if err := q.Validate(); err != nil {
		return nil, a.problemOf(ctx, err, "query")
	}
	if _, err := a.pool.Run(ctx, in.id()); err != nil {
		return nil, err
	}
	return &streamed{func(out huma.Context) {
		s := events(out)
		defer s.end()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for l, err := range a.pool.Logs(ctx, in.id(), q) {
			if err != nil {
				a.log.Debug("lines could not be followed to their end", slog.String("run", string(in.id())), slog.Any("err", err))
				return // who reads comes back
			}
			if seen != nil && l.Compare(seen) <= 0 {
				continue
			}
			seen = nil // what comes late may be of before
			if line := lineOf(&l); !s.send(line.Cursor, "line", line) {
				return
			}
		}
		if ctx.Err() == nil {
			s.send("", "end", struct{}{})
		}
	}}, nil
}

func (a *server) downloadLogs(ctx context.Context, in *OfRun) (*streamed, error) {
	if _, err := a.pool.Run(ctx, in.id()); err != nil {
		return nil, err
	}
	return &streamed{func(out huma.Context) {
		_, w := humago.Unwrap(out)
		name := strings.NewReplacer("#", "-", "@", "-", `"`, "-").Replace(in.Name)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.log"`)
		w.Header().Set("Trailer", "Repr-Digest")
		w.WriteHeader(http.StatusOK)
		sum, err := a.pool.Download(ctx, in.id(), &patient{w, http.NewResponseController(w)})
		if err != nil {
			a.log.Warn("lines could not be downloaded to their end", slog.String("run", string(in.id())), slog.Any("err", err))
			panic(http.ErrAbortHandler) // so that nobody takes it for all
		}
		w.Header().Set("Repr-Digest", reprDigest(sum))
	}}, nil
}

// patient is a writer that gives each piece time of its own.
type patient struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(slow)) // what can't bound it does not
	return p.ResponseWriter.Write(b)
}
