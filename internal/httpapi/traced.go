package httpapi

import (
	"net/http"

	"github.com/musterhq/muster/internal/telemetry"
)

// traced makes what a request leads to part of the caller's trace, which it names
// as W3C says. What is not understood is no trace.
func traced(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if parent := r.Header.Get("Traceparent"); parent != "" {
			carrier := map[string]string{"traceparent": parent, "tracestate": r.Header.Get("Tracestate")}
			r = r.WithContext(telemetry.Link(r.Context(), carrier))
		}
		h.ServeHTTP(w, r)
	})
}
