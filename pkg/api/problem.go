package api

import (
	"fmt"
	"strings"
)

// Problem is why a request was refused: a problem of RFC 9457.
type Problem struct {
	Type     string         `json:"type,omitempty" doc:"What kind of problem it is, as urn:muster:problem:CODE."`
	Title    string         `json:"title,omitempty" doc:"The status in words."`
	Status   int            `json:"status,omitempty" doc:"The status of the answer."`
	Detail   string         `json:"detail,omitempty" doc:"What is wrong, and what to do about it."`
	Instance string         `json:"instance,omitempty"`
	Errors   []ProblemField `json:"errors,omitempty" doc:"The fields that are wrong."`
}

// ProblemField is a field that is wrong.
type ProblemField struct {
	Location string `json:"location,omitempty" doc:"The field, as in body.spec.retry.attempts or query.limit."`
	Message  string `json:"message,omitempty" doc:"What is wrong with it."`
	Value    any    `json:"value,omitempty" doc:"What it was."`
}

// Error says what is wrong, and with which fields.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "api: %d %s", p.Status, p.Detail)
	if p.Detail == "" {
		b.WriteString(p.Title)
	}
	for i, f := range p.Errors {
		if f.Message == p.Detail {
			continue // it is said already
		}
		b.WriteString([]string{": ", "; "}[min(i, 1)] + f.Location + ": " + f.Message)
	}
	return b.String()
}

// Code returns what kind of problem it is, as in "no-run", or nothing.
func (p *Problem) Code() string {
	code, _ := strings.CutPrefix(p.Type, ProblemType)
	if code == p.Type {
		return ""
	}
	return code
}

// ProblemType is what the types of problems begin with.
const ProblemType = "urn:muster:problem:"
