package httpapi

import (
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
)

// zipped makes answers small for those who take that, but for streams of events,
// which must not wait for each other, and for what is small already.
func zipped(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if !takesGzip(r.Header.Get("Accept-Encoding")) {
			h.ServeHTTP(w, r)
			return
		}
		z := &zipper{ResponseWriter: w}
		defer z.end()
		h.ServeHTTP(z, r)
	})
}

func takesGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, q, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";")
		if strings.EqualFold(name, "gzip") && q != "q=0" && q != "q=0.0" {
			return true
		}
	}
	return false
}

// leastZipped is from where on it is worth it, in bytes.
const leastZipped = 1 << 10

var zips = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// zipper is an answer that is made small once it is known to be large.
type zipper struct {
	http.ResponseWriter
	status int
	held   []byte // until it is known
	began  bool
	zip    *gzip.Writer
}

// WriteHeader remembers the status: what is written after it decides.
func (z *zipper) WriteHeader(status int) {
	if z.status == 0 {
		z.status = status
	}
	if status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
		z.begin(false)
	}
}

// Write holds back as much as it takes to decide.
func (z *zipper) Write(b []byte) (int, error) {
	if !z.began && len(z.held)+len(b) < leastZipped && !z.streams() {
		z.held = append(z.held, b...)
		return len(b), nil
	}
	z.begin(true)
	if z.zip != nil {
		return z.zip.Write(b)
	}
	return z.ResponseWriter.Write(b)
}

// streams reports whether the answer is one that must not be held back.
func (z *zipper) streams() bool {
	return strings.HasPrefix(z.Header().Get("Content-Type"), "text/event-stream")
}

// begin sends what is held back, from then on small or not.
func (z *zipper) begin(large bool) {
	if z.began {
		return
	}
	z.began = true
	h := z.Header()
	if large && !z.streams() && h.Get("Content-Encoding") == "" {
		h.Set("Content-Encoding", "gzip")
		h.Del("Content-Length")
		z.zip = zips.Get().(*gzip.Writer)
		z.zip.Reset(z.ResponseWriter)
	}
	if z.status != 0 {
		z.ResponseWriter.WriteHeader(z.status)
	}
	if len(z.held) > 0 {
		if z.zip != nil {
			_, _ = z.zip.Write(z.held) // who has gone away does not want it
		} else {
			_, _ = z.ResponseWriter.Write(z.held)
		}
		z.held = nil
	}
}

// Flush sends what there is.
func (z *zipper) Flush() {
	z.begin(len(z.held) >= leastZipped)
	if z.zip != nil {
		_ = z.zip.Flush()
	}
	_ = http.NewResponseController(z.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (z *zipper) Unwrap() http.ResponseWriter { return z.ResponseWriter }

func (z *zipper) end() {
	z.begin(false)
	if z.zip != nil {
		_ = z.zip.Close()
		z.zip.Reset(nil)
		zips.Put(z.zip)
	}
}
