package api

// Item is one piece of what a run returned.
type Item struct {
	Task  string `json:"task" doc:"The ID of the task that returned it, as in m12 or r3."`
	Key   any    `json:"key,omitempty" doc:"The key of a pair."`
	Value any    `json:"value,omitempty" doc:"The value of a pair, or what the task returned."`
	// Encoded says that JSON has no word for the key or the value: they are in
	// base64, as they were written.
	Encoded bool   `json:"encoded,omitempty" doc:"JSON has no word for the key or the value: they are in base64, as they were written."`
	Error   string `json:"error,omitempty" doc:"Why the task failed, in a run that tolerates failures."`
}
