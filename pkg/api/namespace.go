package api

import "github.com/musterhq/muster/pkg/job"

// Namespace is what holds for all jobs of a namespace together.
type Namespace struct {
	Name   string      `json:"name"`
	Limits []job.Limit `json:"limits" doc:"How many of its runs go on at a time, and how often they begin."`
}
