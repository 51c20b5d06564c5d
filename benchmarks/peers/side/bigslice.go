package side

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Bigslice names the program that bigslice/build.sh makes.
const Bigslice = "MUSTER_PEERS_BIGSLICE"

func bigslice() string {
	if path := os.Getenv(Bigslice); path != "" {
		return path
	}
	return "peers-bigslice"
}

var bigsliceData = []Side{{
	Kind: WordCount, Name: "bigslice", Label: "bigslice",
	About: "ReaderFunc over the lines of a file each, Flatmap of strings.Fields, Map to 1, Reduce and Scan to files, by the local executor",
	Missing: func() error {
		if _, err := exec.LookPath(bigslice()); err != nil {
			return fmt.Errorf("side: %w: build it with benchmarks/peers/bigslice/build.sh, and name it in %s", err, Bigslice)
		}
		return nil
	},
	Needs:   "bigslice",
	Version: func() string { return output(bigslice(), "-version") },
	Do:      func(ctx context.Context, w Work) (Measure, error) { return program(ctx, w, bigslice()) },
}}
