package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/musterhq/muster/pkg/api"
)

// document serves the description of the API, with the paths as they are from
// outside.
func (a *server) document() {
	for ext, form := range map[string]func() ([]byte, error){
		"json": func() ([]byte, error) { return json.MarshalIndent(a.api.OpenAPI(), "", "  ") },
		"yaml": func() ([]byte, error) { return a.yaml() },
	} {
		a.mux.HandleFunc("GET "+api.Prefix+"/openapi."+ext, func(w http.ResponseWriter, r *http.Request) {
			b, err := form()
			if err != nil {
				writeProblem(w, problem(http.StatusInternalServerError, "internal", err.Error()))
				return
			}
			w.Header().Set("Content-Type", "application/openapi+"+ext)
			_, _ = w.Write(fromOutside(r.Context(), b))
		})
	}
}

func (a *server) yaml() ([]byte, error) {
	var b bytes.Buffer
	err := writeYAML(&b, a.api.OpenAPI())
	return b.Bytes(), err
}

// fromOutside puts the base path into a document, which has one server.
func fromOutside(ctx context.Context, doc []byte) []byte {
	prefix := prefixOf(ctx)
	if prefix == "" {
		return doc
	}
	for _, form := range []string{`"url": "%"`, `url: %`} {
		was := bytes.ReplaceAll([]byte(form), []byte("%"), []byte(api.Prefix))
		is := bytes.ReplaceAll([]byte(form), []byte("%"), []byte(prefix+api.Prefix))
		doc = bytes.Replace(doc, was, is, 1)
	}
	return doc
}

// Document returns the description of the API in YAML, as it is committed.
func Document() ([]byte, error) {
	return newServer(&Config{Version: "1"}).yaml()
}
