package main

import (
	"errors"
	"net/http"

	"github.com/musterhq/muster/pkg/api"
)

// What the program exits with. Scripts act on them, so there are few, and they
// stay.
const (
	exitFailed      = 1   // something failed, a run that was waited for too
	exitUsage       = 2   // the command line, or a file that it names, made no sense
	exitNotFound    = 3   // there is no such job, run, node or namespace, or it is none of the caller's business
	exitNoAccess    = 4   // there is no token, or it may not do that
	exitInterrupted = 130 // it was interrupted; a run that it followed goes on
)

// exitHelp tells people of them.
const exitHelp = `Exits with 0 when all went well, 1 when something failed (a run that was waited for
too), 2 when the command line or a file made no sense, 3 when there is no such
thing, 4 when a token is missing or may not do that, 130 when it was interrupted.`

// exitCode is what the program exits with after err.
func exitCode(err error, interrupted bool) int {
	var p *api.Problem
	switch {
	case err == nil:
		return 0
	case interrupted:
		return exitInterrupted
	case errors.Is(err, errUsage):
		return exitUsage
	case !errors.As(err, &p):
		return exitFailed
	}
	switch p.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return exitUsage
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitNoAccess
	}
	return exitFailed
}
