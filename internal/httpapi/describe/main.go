// Command describe writes the description of the HTTP API into a file.
package main

import (
	"fmt"
	"os"

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
		return fmt.Errorf("got %q: want the file to write", args)
	}
	b, err := httpapi.Document()
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], append([]byte(head), b...), 0o644)
}
