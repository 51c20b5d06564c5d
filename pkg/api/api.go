// Package api is what is said over HTTP: the bodies of requests and answers of
// a cluster's HTTP API, with the names that they have in JSON.
//
// It is words, and the way between them and those of package job. A program
// speaks them with package client and links neither a node nor a server; one
// that wants no Go reads the same from docs/openapi.yaml.
package api

// Prefix is what the paths of this version of the API begin with, below the
// base path that it may be mounted under.
const Prefix = "/api/v1"
