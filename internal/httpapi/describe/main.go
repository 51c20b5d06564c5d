// Command describe writes the description of the HTTP API, and the schema of files
// with jobs, into a directory.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/musterhq/muster/internal/httpapi"
)

const head = `# The HTTP API of a cluster, as every node serves it under /api/v1/openapi.yaml.
# Written by go generate ./internal/httpapi: change the Go types there and in pkg/api.
`

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "describe:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("got %q: want the directory to write to", args)
	}
	b, err := httpapi.Document()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(args[0], "openapi.yaml"), append([]byte(head), b...), 0o644); err != nil {
		return err
	}
	if b, err = httpapi.JobSchema(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(args[0], "job.schema.json"), append(b, '\n'), 0o644)
}
