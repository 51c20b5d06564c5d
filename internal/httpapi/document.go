package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterhq/muster/internal/inyaml"
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

// alsoYAML says of every body that is sent that it may be YAML, and of the one
// that people ask for in that form.
func alsoYAML(o *huma.OpenAPI) {
	for _, p := range o.Paths {
		for _, op := range []*huma.Operation{p.Get, p.Put, p.Post} {
			if op == nil {
				continue
			}
			contents := []map[string]*huma.MediaType{}
			if op.RequestBody != nil {
				contents = append(contents, op.RequestBody.Content)
			}
			if op.OperationID == "exportJobs" {
				contents = append(contents, op.Responses["200"].Content)
			}
			for _, c := range contents {
				if as := c["application/json"]; as != nil {
					c["application/yaml"] = as
				}
			}
		}
	}
}

func (a *server) yaml() ([]byte, error) {
	var b bytes.Buffer
	err := inyaml.Write(&b, a.api.OpenAPI(), "openapi", "info", "servers", "paths")
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
	return newServer(&Config{}).yaml()
}
