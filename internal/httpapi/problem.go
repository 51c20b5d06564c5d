package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/api"
)

// statuses are what the codes of errors become. A code that is not here is one
// that nobody outside should see: it is a fault of ours.
var statuses = map[string]int{
	"no-run": http.StatusNotFound, "no-job": http.StatusNotFound, "no-node": http.StatusNotFound, "no-entry": http.StatusNotFound, "no-token": http.StatusNotFound, "no-operation": http.StatusNotFound,
	"exists": http.StatusConflict, "final": http.StatusConflict, "not-final": http.StatusConflict,
	"revision":   http.StatusPreconditionFailed,
	"invalid":    http.StatusUnprocessableEntity,
	"overloaded": http.StatusTooManyRequests,
	"no-leader":  http.StatusServiceUnavailable, "not-leader": http.StatusServiceUnavailable, "uncertain": http.StatusServiceUnavailable,
	"unavailable": http.StatusServiceUnavailable, "closed": http.StatusServiceUnavailable, "broken": http.StatusServiceUnavailable,
	"stopped": http.StatusServiceUnavailable, "no-quorum": http.StatusServiceUnavailable,
	"storage-full": http.StatusInsufficientStorage,
	"no-method":    http.StatusNotImplemented,
	"timeout":      http.StatusGatewayTimeout,
	"unauthorized": http.StatusUnauthorized, "forbidden": http.StatusForbidden, "not-found": http.StatusNotFound,
}

// refused is an error of the API's own.
type refused struct{ code, text string }

func (r *refused) Error() string     { return r.text }
func (r *refused) ErrorCode() string { return r.code }

// problemOf returns the problem that an error is, for a request whose fields
// are at the given place. What is no refusal is logged and not shown.
func (a *server) problemOf(ctx context.Context, err error, at string) error {
	var already huma.StatusError
	if errors.As(err, &already) {
		return err
	}
	code, text := codeOf(err), said(err)
	status, known := statuses[code]
	if !known {
		status, code, text = http.StatusInternalServerError, "internal", "The request failed by a fault of the server, which is in its log."
		a.log.Error("a request failed", slog.String("operation", operationOf(ctx)), telemetry.Err(err))
	}
	p := problem(status, code, text)
	if f := fieldOf(err.Error()); f != "" && status == http.StatusUnprocessableEntity {
		p.Errors = []*huma.ErrorDetail{{Location: strings.Trim(at+"."+f, "."), Message: text}}
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {"1"}})
	}
	return p
}

// problem returns a problem of ours.
func problem(status int, code, text string) *huma.ErrorModel {
	return &huma.ErrorModel{Type: api.ProblemType + code, Title: http.StatusText(status), Status: status, Detail: text}
}

// invalid returns a problem with one field.
func invalid(location, text string, value any) error {
	p := problem(http.StatusUnprocessableEntity, "invalid", text)
	p.Errors = []*huma.ErrorDetail{{Location: location, Message: text, Value: value}}
	return p
}

// codeOf returns the code of an error: its own, or that of what it is.
func codeOf(err error) string {
	var coded interface{ ErrorCode() string }
	switch {
	case errors.As(err, &coded) && coded.ErrorCode() != "":
		return coded.ErrorCode()
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "unavailable"
	case fieldOf(err.Error()) != "":
		return "invalid"
	}
	return ""
}

// named finds the field that a refusal of the house names: errors say the
// package first, then the field, the value and the remedy.
var named = regexp.MustCompile(`^(?:(?:api|job|node|state|trigger|invalid|run|submit|event|namespace)(?: [^:]{0,200}?)?: )*((?:Schedule: )?(?:trigger: )?[A-Z][A-Za-z]*(?:\[\d+\])?(?:(?:\.|: (?:trigger: )?)[A-Z][A-Za-z]*(?:\[\d+\])?)*)[ :]`)

// fieldOf returns the field that a refusal names, as it is called in JSON, or
// nothing.
func fieldOf(text string) string {
	m := named.FindStringSubmatch(eventName.Replace(text))
	if m == nil {
		return ""
	}
	return snake(strings.ReplaceAll(strings.ReplaceAll(m[1], "trigger: ", ""), ": ", "."))
}

// eventName is for the one field that has words before it.
var eventName = strings.NewReplacer("node: event Name", "node: Name")

// snake returns a name of Go as it is in JSON: MinCPU is min_cpu.
func snake(name string) string {
	var b strings.Builder
	upper := func(i int) bool { return i >= 0 && i < len(name) && name[i] >= 'A' && name[i] <= 'Z' }
	lower := func(i int) bool { return i >= 0 && i < len(name) && name[i] >= 'a' && name[i] <= 'z' }
	for i := range len(name) {
		if upper(i) && (lower(i-1) || upper(i-1) && lower(i+1)) {
			b.WriteByte('_')
		}
		b.WriteByte(name[i] | 0x20*b2i(upper(i)))
	}
	return b.String()
}

func b2i(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// said is an error without the package that it came from.
func said(err error) string {
	text := err.Error()
	for _, p := range []string{"node: ", "job: ", "trigger: ", "api: ", "state: "} {
		if rest, ok := strings.CutPrefix(text, p); ok {
			return rest
		}
	}
	return text
}
