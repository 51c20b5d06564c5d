package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// Config says how the API is served.
type Config struct {
	// Pool is the cluster. It is required.
	Pool Pool
	// Access says who may do what. It is required.
	Access Access
	// Open says that it lets everybody do everything, which is for addresses on
	// loopback.
	Open bool
	// BasePath is what the paths of the API begin with from outside, as in
	// "/muster", if a proxy in front has it under such. It makes no difference
	// whether the proxy takes it away. Empty means nothing.
	BasePath string
	// TrustProxy believes X-Forwarded-Prefix, which any caller can send unless a
	// proxy in front sets it.
	TrustProxy bool
	// Hosts are the names under which the API is reached, besides addresses and
	// localhost. While everybody may do everything requests to other names are
	// refused: with one that leads here, a page that somebody's browser shows
	// could do so too.
	Hosts []string
	// Metrics is mounted under /metrics, if it is not nil.
	Metrics http.Handler
	// Timeout bounds how long a request takes that does not wait for something.
	// Zero means 30 s.
	Timeout time.Duration
	// Log receives what fails by a fault of ours. Nil means slog.Default.
	Log *slog.Logger
}

// server is the API as it is served.
type server struct {
	pool    Pool
	access  Access
	open    bool // to everybody
	timeout time.Duration
	log     *slog.Logger
	mux     *http.ServeMux
	api     huma.API
}

// New returns the API as a handler.
func New(cfg Config) (http.Handler, error) {
	if cfg.Pool == nil {
		return nil, errors.New("httpapi: Pool is nil: give it a node")
	}
	if cfg.Access == nil {
		return nil, errors.New("httpapi: Access is nil: say who may do what")
	}
	base := strings.TrimSuffix(cfg.BasePath, "/")
	if base != "" && (base[0] != '/' || path.Clean(base) != base || strings.ContainsAny(base, "?#%{} ")) {
		return nil, fmt.Errorf("httpapi: BasePath %q: want a path as in /muster", cfg.BasePath)
	}
	a := newServer(&cfg)
	h := traced(a.routed(cfg.Metrics))
	h = a.ownPages(cfg.Hosts, h)
	h = zipped(h)
	h = below(base, cfg.TrustProxy, h)
	return a.recovered(h), nil
}

// newServer returns a server with all of its operations.
func newServer(cfg *Config) *server {
	a := &server{
		pool: cfg.Pool, access: cfg.Access, open: cfg.Open, timeout: cmp.Or(cfg.Timeout, 30*time.Second),
		log: cmp.Or(cfg.Log, slog.Default()), mux: http.NewServeMux(),
	}
	a.api = humago.NewWithPrefix(a.mux, api.Prefix, described())
	a.namespaces()
	a.jobs()
	a.runs()
	a.bulkRuns()
	a.watched()
	a.changes()
	a.outcomes()
	a.logs()
	a.cluster()
	a.tokens()
	alsoYAML(a.api.OpenAPI())
	a.document()
	return a
}

// described is what the document says of the API as a whole.
func described() huma.Config {
	schemas := huma.NewMapRegistry("#/components/schemas/", schemaName)
	schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[api.Problem]())
	schemas.RegisterTypeAlias(reflect.TypeFor[api.Duration](), reflect.TypeFor[duration]())
	schemas.RegisterTypeAlias(reflect.TypeFor[job.Role](), reflect.TypeFor[role]())
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "muster", Version: "1",
				Description: trimmed(`Declare jobs, run them and see what becomes of them. Bodies are JSON, or YAML with the content type
					application/yaml. What is refused is a problem of RFC 9457. Every operation may be repeated.`),
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Servers: []*huma.Server{{URL: api.Prefix}},
			Components: &huma.Components{
				Schemas: schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "A token of the cluster. On loopback, without tokens, none is needed."},
				},
			},
		},
		Formats:       formats,
		DefaultFormat: "application/json",

		RejectUnknownQueryParameters: true,
	}
}

// schemaName is what a type is called in the document: as in Go.
func schemaName(t reflect.Type, hint string) string {
	return strings.TrimPrefix(huma.DefaultSchemaNamer(t, hint), "Api")
}

// duration is how a length of time is described.
type duration string

// Schema returns the description.
func (duration) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{
		Type: huma.TypeString, Pattern: durationPattern, PatternDescription: "a duration, as in 30s, 5m or 1h30m",
		Description: "A length of time, as in 30s, 5m or 1h30m.", Examples: []any{"1h30m"},
	}
	s.PrecomputeMessages()
	return s
}

const durationPattern = `^-?(0|([0-9]{1,9}(\.[0-9]{1,9})?(ns|us|ms|s|m|h)){1,6})$`

// routed returns the handler for all paths, in which every refusal is a problem.
func (a *server) routed(metrics http.Handler) http.Handler {
	a.health()
	if metrics != nil {
		a.mux.Handle("GET /metrics", a.guarded(metrics))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := a.mux.Handler(r)
		switch {
		case pattern != "" && !readable(r):
			writeProblem(w, problem(http.StatusUnsupportedMediaType, "media-type", "Content-Type "+strconv.Quote(r.Header.Get("Content-Type"))+": want application/json, as curl --json says, or application/yaml"))
		case pattern != "" && path.Clean(r.URL.Path) == r.URL.Path: // else it is a way to somewhere outside of a base path
			a.mux.ServeHTTP(w, r)
		case pattern == "":
			lost := &unwritten{header: http.Header{}}
			h.ServeHTTP(lost, r)
			if allow := lost.header.Get("Allow"); allow != "" {
				w.Header().Set("Allow", allow)
				writeProblem(w, problem(http.StatusMethodNotAllowed, "no-method", "there is no "+r.Method+" of "+r.URL.Path+": want one of "+allow))
				return
			}
			fallthrough
		default:
			writeProblem(w, problem(http.StatusNotFound, "no-path", "there is no path "+r.URL.Path+": see "+api.Prefix+"/openapi.json for those there are"))
		}
	})
}

// unwritten is an answer of which only the header counts.
type unwritten struct{ header http.Header }

func (u *unwritten) Header() http.Header         { return u.header }
func (u *unwritten) Write(b []byte) (int, error) { return len(b), nil }
func (u *unwritten) WriteHeader(int)             {}

func writeProblem(w http.ResponseWriter, p *huma.ErrorModel) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = huma.DefaultJSONFormat.Marshal(w, p)
}

// recovered answers for a handler that panics, unless it has begun to answer.
func (a *server) recovered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			a.log.Error("a request made the server panic", slog.String("path", r.URL.Path), slog.Any("panic", v))
			writeProblem(w, problem(http.StatusInternalServerError, "internal", "The request failed by a fault of the server, which is in its log."))
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// health is how one who watches over the process asks: whether it is there, and
// whether it can do what it is asked for.
func (a *server) health() {
	a.mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	a.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := a.pool.Ready(r.Context()); err != nil {
			writeProblem(w, problem(http.StatusServiceUnavailable, "not-ready", said(err)))
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
}
