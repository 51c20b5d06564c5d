package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/node"
)

func versionCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version [FILE]",
		Short: "print what this binary, or the one in FILE, was built from",
		Long: `Version prints the version, the commit and the compiler that a binary was built
from: this one or, whatever system it is for, that in FILE. With -o cyclonedx it
is a bill of materials: every module in the binary with its version.`,
		Example: `  muster version
  muster version -o json
  muster version dist/release/muster.exe -o cyclonedx`,
		Args: args(0, 1),
		RunE: func(c *cobra.Command, a []string) error {
			write, ok := map[string]func(io.Writer, *debug.BuildInfo) error{"table": printBuild, "json": jsonBuild, "cyclonedx": materials}[output]
			if !ok {
				return fmt.Errorf("-o %q: want table, json or cyclonedx: %w", output, errUsage)
			}
			info, err := buildOf(a)
			if err != nil {
				return err
			}
			return write(c.OutOrStdout(), info)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table, json or cyclonedx")
	return c
}

// buildOf returns what the binary was built from that is named, or else this one.
func buildOf(named []string) (*debug.BuildInfo, error) {
	if len(named) > 0 {
		info, err := buildinfo.ReadFile(named[0])
		if err != nil {
			return nil, fmt.Errorf("version: %s: %w", named[0], err)
		}
		return info, nil
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, fmt.Errorf("version: this binary does not say what it was built from: build it with go build")
	}
	return info, nil
}

// build is what a binary was built from, for people and programs.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit
	Modified bool   `json:"modified"`       // the tree was not the commit's
	Go       string `json:"go"`
	System   string `json:"system"`
	Arch     string `json:"arch"`
}

func aboutBuild(info *debug.BuildInfo) build {
	b := build{Version: node.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "GOOS":
			b.System = s.Value
		case "GOARCH":
			b.Arch = s.Value
		}
	}
	return b
}

func jsonBuild(w io.Writer, info *debug.BuildInfo) error {
	return json.NewEncoder(w).Encode(aboutBuild(info))
}

func printBuild(w io.Writer, info *debug.BuildInfo) error {
	b := aboutBuild(info)
	from := "an unknown commit"
	if b.Commit != "" {
		from = fmt.Sprintf("%.12s of %s", b.Commit, b.Time)
	}
	if b.Modified {
		from += ", with changes"
	}
	_, err := fmt.Fprintf(w, "muster %s for %s/%s, by %s from %s\n", b.Version, b.System, b.Arch, b.Go, from)
	return err
}
