package httpapi

import (
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
)

// A browser sends what any page tells it to, also to addresses that only this
// machine reaches. What comes from the page of somebody else is refused.

// ownPages refuses what a browser sends for the page of another.
func (a *server) ownPages(hosts []string, h http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, problem(http.StatusForbidden, "cross-origin", "a browser sent this for the page of another: send it from a page of the same origin, or from no browser"))
	}))
	inner := cross.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.open && !ours(r.Host, hosts) {
			writeProblem(w, problem(http.StatusForbidden, "host", "the API is open to everybody who reaches it, and so not under the name "+r.Host+": use an address, or say that this name is its own"))
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// ours reports whether a request is to one of the names of the API, or to an
// address, which no name leads to by trickery.
func ours(host string, hosts []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return net.ParseIP(strings.Trim(host, "[]")) != nil || strings.EqualFold(host, "localhost") ||
		slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// readable reports whether the body of a request is in a form that is read here.
// The forms that pages may send without asking are not among them.
func readable(r *http.Request) bool {
	if r.ContentLength == 0 || r.Header.Get("Content-Type") == "" && r.Method == http.MethodGet {
		return true
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return r.Header.Get("Content-Type") == ""
	}
	_, known := formats[kind[strings.LastIndex(kind, "+")+1:]]
	return known
}
