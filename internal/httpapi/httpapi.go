// Package httpapi is the HTTP API of a cluster: it translates between requests
// and what a node can do, and decides nothing.
//
// What it asks of a node it declares as interfaces, so that it knows no node;
// package gateway puts the two together. Every operation is described by an
// OpenAPI document, which is made from the same declarations that serve it.
// Every refusal is a problem of RFC 9457 that names the field.
//
// Every operation may be repeated: asked for twice, it is done once. Where that
// is not so by nature an Idempotency-Key makes it so.
//
// All links that it hands out are relative to what was asked for, so that it
// works below any path and behind any proxy.
package httpapi

//go:generate go run ./describe ../../docs
