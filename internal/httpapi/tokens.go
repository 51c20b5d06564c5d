package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// tokens is who may come in, and who changed what.
func (a *server) tokens() {
	o := get("listTokens", "/tokens", "access", "List the tokens, without their secrets")
	o.role = job.Admin
	register(a, o, a.listTokens)
	o = write(job.Admin, "createToken", http.MethodPost, "/tokens", "access", "Make a token, and show it this once")
	o.status = http.StatusCreated
	o.text = "Asked for again it makes another: revoke the one whose text was lost."
	register(a, o, a.createToken)
	o = write(job.Admin, "revokeToken", http.MethodDelete, "/tokens/{token}", "access", "Make a token good for nothing")
	o.status = http.StatusNoContent
	o.text = "Servers refuse it as soon as they have heard of it, which takes milliseconds, other nodes within five seconds."
	register(a, o, a.revokeToken)
	o = get("listAudit", "/audit", "access", "List who changed what, the latest first")
	o.role = job.Admin
	o.text = "A page may have fewer records than its limit, or none, and still a next one."
	register(a, o, a.listAudit)
}

// role is how a role is described.
type role string

// Schema returns the description.
func (role) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Description: "Each may what those before it may."}
	for _, r := range job.Roles {
		s.Enum = append(s.Enum, string(r))
	}
	s.PrecomputeMessages()
	return s
}

func (a *server) listTokens(ctx context.Context, _ *struct{}) (*reply[api.Tokens], error) {
	all, err := a.pool.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	return &reply[api.Tokens]{Body: api.Tokens{Tokens: append([]job.Token{}, all...)}}, nil
}

func (a *server) createToken(ctx context.Context, in *struct{ Body api.NewToken }) (*reply[api.MadeToken], error) {
	c, _ := ctx.Value(callerKey{}).(Caller)
	made, text, err := a.pool.CreateToken(ctx, job.Token{Name: in.Body.Name, Roles: in.Body.Roles, Expires: in.Body.Expires, By: c.Name})
	if err != nil {
		return nil, err
	}
	return &reply[api.MadeToken]{Body: api.MadeToken{Token: made, Text: text}}, nil
}

// ofToken is the part of a path that says which token.
type ofToken struct {
	Token string `path:"token" maxLength:"100" example:"k5rtmzq2vn4h7xwd" doc:"The ID of a token."`
}

func (a *server) revokeToken(ctx context.Context, in *ofToken) (*struct{}, error) {
	return nil, a.pool.RevokeToken(ctx, in.Token)
}

// whichAudit says which records are asked for.
type whichAudit struct {
	Who       string    `query:"who" maxLength:"500" doc:"Who it was, or a part of that."`
	Verb      string    `query:"verb" maxLength:"100" doc:"What was asked for, as in job.put."`
	Namespace string    `query:"namespace" maxLength:"100" doc:"In which namespace."`
	Object    string    `query:"object" maxLength:"500" doc:"Of what, or a part of that."`
	Since     time.Time `query:"since" doc:"From when on."`
	Until     time.Time `query:"until" doc:"Before when."`
	Cursor    string    `query:"cursor" maxLength:"2000" doc:"Where to go on: next of the page before."`
	Limit     int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many records a page has at most."`
}

func (a *server) listAudit(ctx context.Context, in *whichAudit) (*reply[job.AuditPage], error) {
	page, err := a.pool.Audit(ctx, job.AuditQuery{
		Who: in.Who, Verb: in.Verb, Namespace: in.Namespace, Object: in.Object, Since: in.Since, Until: in.Until,
		Cursor: in.Cursor, Limit: cmp.Or(in.Limit, 100),
	})
	if err != nil {
		return nil, err
	}
	if page.Records == nil {
		page.Records = []job.Audit{}
	}
	return &reply[job.AuditPage]{Body: page}, nil
}
