package httpapi

import (
	"io"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterhq/muster/internal/inyaml"
)

// formats are how bodies may be written: what a script sends and reads is JSON,
// what people keep in files may be YAML. Both say the same, field by field.
var formats = map[string]huma.Format{
	"application/json": huma.DefaultJSONFormat,
	"json":             huma.DefaultJSONFormat,
	"application/yaml": yamlFormat,
	"yaml":             yamlFormat,
}

var yamlFormat = huma.Format{
	Marshal:   func(w io.Writer, v any) error { return inyaml.Write(w, v) },
	Unmarshal: inyaml.Read,
}
