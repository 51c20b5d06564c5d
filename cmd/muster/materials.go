package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
)

// The part of CycloneDX 1.6 that says which modules are in a binary.
type (
	bill struct {
		Format       string       `json:"bomFormat"`
		Spec         string       `json:"specVersion"`
		Serial       string       `json:"serialNumber"`
		Version      int          `json:"version"`
		Metadata     billMetadata `json:"metadata"`
		Components   []material   `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	billMetadata struct {
		Timestamp string   `json:"timestamp,omitempty"`
		Component material `json:"component"`
	}
	material struct {
		Ref        string     `json:"bom-ref"`
		Type       string     `json:"type"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		PURL       string     `json:"purl"`
		Properties []property `json:"properties,omitempty"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
)

// materials writes a bill of the modules in a binary. For one binary it is always
// the same: the serial number is that of its content, and the time its commit's.
func materials(w io.Writer, info *debug.BuildInfo) error {
	about := aboutBuild(info)
	program := module("application", info.Main.Path, about.Version, "")
	for _, s := range info.Settings {
		program.Properties = append(program.Properties, property{"go:build:" + s.Key, s.Value})
	}
	all := make([]material, 0, 1+len(info.Deps))
	all = append(all, module("library", "std", strings.TrimPrefix(about.Go, "go"), ""))
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, module("library", m.Path, m.Version, m.Sum))
	}
	on := dependency{Ref: program.Ref, On: []string{}}
	for _, m := range all {
		on.On = append(on.On, m.Ref)
	}
	b := bill{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: billMetadata{Timestamp: about.Time, Component: program}, Components: all, Dependencies: []dependency{on},
	}
	content, err := json.Marshal(b)
	if err != nil {
		return err
	}
	b.Serial = uuidOf(content)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(b)
}

// module describes a module of Go. Its sum is that of go.sum, which is over the
// files of the module and so none of the hashes that CycloneDX knows.
func module(kind, path, version, sum string) material {
	url := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	m := material{Ref: url, Type: kind, Name: path, Version: version, PURL: url}
	if sum != "" {
		m.Properties = []property{{"go:sum", sum}}
	}
	return m
}

// uuidOf returns a UUID of version 8 that is a function of content.
func uuidOf(content []byte) string {
	h := sha256.Sum256(content)
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
