package api

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Tokens is all tokens, by their IDs, without their secrets.
type Tokens struct {
	Tokens []job.Token `json:"tokens"`
}

// NewToken says what a token is to be.
type NewToken struct {
	Name    string              `json:"name" minLength:"1" maxLength:"200" example:"ci" doc:"Whose it is, for people."`
	Roles   map[string]job.Role `json:"roles" minProperties:"1" maxProperties:"100" doc:"What it may do, by namespace, or under * for all: viewer, operator, developer or admin."`
	Expires time.Time           `json:"expires,omitzero" doc:"When it is good no more. Left out means that it is until it is revoked."`
}

// MadeToken is a token that was made just now.
type MadeToken struct {
	job.Token
	Text string `json:"token" doc:"What its holder shows. It is shown this once."`
}
