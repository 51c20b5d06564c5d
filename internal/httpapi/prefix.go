package httpapi

import (
	"context"
	"net/http"
	"path"
	"strings"
)

// below serves h below a base path, as well as without it: a proxy may have
// taken it away.
func below(base string, trust bool, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outside := base
		if p := r.Header.Get("X-Forwarded-Prefix"); trust && validPrefix(p) {
			outside = strings.TrimSuffix(p, "/")
		}
		r = r.WithContext(context.WithValue(r.Context(), prefixKey{}, outside))
		if base != "" && (r.URL.Path == base || strings.HasPrefix(r.URL.Path, base+"/")) {
			http.StripPrefix(base, h).ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

type prefixKey struct{}

// prefixOf returns what paths begin with from outside.
func prefixOf(ctx context.Context) string {
	p, _ := ctx.Value(prefixKey{}).(string)
	return p
}

func validPrefix(p string) bool {
	return strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "//") && path.Clean(p) == strings.TrimSuffix(p, "/") && !strings.ContainsAny(p, "?#\\\"<>\r\n ")
}
