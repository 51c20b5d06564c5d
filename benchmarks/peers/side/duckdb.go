package side

import (
	"context"
	_ "embed" // the program
	"fmt"
	"os"
	"os/exec"
)

var duckdbData = []Side{duckdbSide(WordCount), duckdbSide(Sort), duckdbSide(GroupBy)}

// Python names the interpreter that has the module duckdb.
const Python = "MUSTER_PEERS_PYTHON"

//go:embed duck.py
var duckdbProgram string

func python() string {
	if path := os.Getenv(Python); path != "" {
		return path
	}
	return "python3"
}

func duckdbSide(kind string) Side {
	return Side{
		Kind: kind, Name: "duckdb", Label: "DuckDB",
		About: "from files to a file, by the query in duck.py, without the start of the interpreter",
		Missing: func() error {
			if err := exec.Command(python(), "-c", "import duckdb").Run(); err != nil {
				return fmt.Errorf("side: %s has no module duckdb: install it there, or name another interpreter in %s", python(), Python)
			}
			return nil
		},
		Needs:   "DuckDB",
		Version: func() string { return output(python(), "-c", "import duckdb; print(duckdb.__version__)") },
		Do: func(ctx context.Context, w Work) (Measure, error) {
			return program(ctx, w, python(), "-c", duckdbProgram)
		},
	}
}
