package side

import (
	"bytes"
	"context"
	_ "embed" // the program
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"
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
		Do: func(ctx context.Context, w Work) (m Measure, err error) {
			in, err := json.Marshal(w)
			if err != nil {
				return m, err
			}
			c := exec.CommandContext(ctx, python(), "-c", duckdbProgram)
			c.Dir, c.WaitDelay = w.Dir, 5*time.Second
			var out, said bytes.Buffer
			c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(in), &out, &said
			if err := c.Run(); err != nil {
				return m, fmt.Errorf("%w: %.2000s", err, said.String())
			}
			return m, json.Unmarshal(out.Bytes(), &m)
		},
	}
}
