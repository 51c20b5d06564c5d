package api

// Page says where a list goes on.
type Page struct {
	Next string `json:"next,omitempty" doc:"The cursor of the next page, for the parameter of that name. Left out on the last one."`
}
