package job

import "encoding/json"

// Data returns what an expression on the run's input sees as data: the fields
// of Params if that is a JSON object, else Params as the field params; those of
// the event that made the run, if one did; and the Extra values by their names.
// What comes later in this row is in place of what comes before.
func (r *Run) Data() map[string]any {
	data := fieldsOf(r.Spec.Params)
	if data == nil {
		data = map[string]any{}
		if r.Spec.Params != "" {
			data["params"] = r.Spec.Params
		}
	}
	for name, value := range fieldsOf(r.Extra["event.data"]) {
		data[name] = value
	}
	for name, value := range r.Extra {
		data[name] = value
	}
	return data
}

// fieldsOf returns the fields of a JSON object, or nil for what is none.
func fieldsOf(text string) (fields map[string]any) {
	if text == "" || json.Unmarshal([]byte(text), &fields) != nil {
		return nil
	}
	return fields
}
