package job

import "encoding/json"

// Data returns what an expression on the run's input sees as data: the fields
// of Params if that is a JSON object, else Params as the field params; and the
// Extra values by their names, which come first where both have one.
func (r *Run) Data() map[string]any {
	data := map[string]any{}
	if r.Spec.Params != "" {
		if err := json.Unmarshal([]byte(r.Spec.Params), &data); err != nil || data == nil {
			data = map[string]any{"params": r.Spec.Params}
		}
	}
	for name, value := range r.Extra {
		data[name] = value
	}
	return data
}
