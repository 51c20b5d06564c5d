// Command bigslice counts words in bigslice, as its documentation does, and
// says what that took. It is a module of its own, which peers runs and does not
// import: bigslice needs a hand to build.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/grailbio/base/log"
	"github.com/grailbio/bigslice"
	"github.com/grailbio/bigslice/exec"
	"github.com/grailbio/bigslice/sliceio"
)

// work is what of side.Work there is to know, and measure of side.Measure.
type work struct {
	Cores  int    `json:"cores"`
	Input  string `json:"input"`
	Output string `json:"output"`
}

type measure struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakBytes  int64   `json:"peak_bytes"`
}

// reading is one file on its way in, and writing one on its way out.
type reading struct {
	*bufio.Scanner
	file *os.File
}

var wordCount = bigslice.Func(func(files []string, output string) bigslice.Slice {
	slice := bigslice.ReaderFunc(len(files), func(shard int, in *reading, lines []string) (n int, err error) {
		if in.Scanner == nil {
			if in.file, err = os.Open(files[shard]); err != nil {
				return 0, err
			}
			in.Scanner = bufio.NewScanner(in.file)
		}
		for n < len(lines) && in.Scan() {
			lines[n] = in.Text()
			n++
		}
		if n < len(lines) {
			err = errors.Join(in.Err(), in.file.Close())
			if err == nil {
				err = sliceio.EOF
			}
		}
		return n, err
	})
	slice = bigslice.Flatmap(slice, strings.Fields)
	slice = bigslice.Map(slice, func(word string) (string, int) { return word, 1 })
	slice = bigslice.Reduce(slice, func(a, b int) int { return a + b })
	return bigslice.Scan(slice, func(shard int, counts *sliceio.Scanner) error {
		f, err := os.Create(filepath.Join(output, fmt.Sprintf("out-%04d.txt", shard)))
		if err != nil {
			return err
		}
		out := bufio.NewWriter(f)
		var word string
		var n int
		for counts.Scan(context.Background(), &word, &n) {
			fmt.Fprintf(out, "%s\t%d\n", word, n) // the error is that of Flush too
		}
		return errors.Join(counts.Err(), out.Flush(), f.Close())
	})
})

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-version" {
		fmt.Println(version())
		return
	}
	log.SetLevel(log.Error) // it tells of each step
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// version returns that of bigslice which is linked.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/grailbio/bigslice" {
				return m.Version
			}
		}
	}
	return "unknown"
}

func do() error {
	var w work
	if err := json.NewDecoder(os.Stdin).Decode(&w); err != nil {
		return err
	}
	if err := os.MkdirAll(w.Output, 0o755); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(w.Input, "in-*"))
	if err != nil {
		return err
	}
	session := exec.Start(exec.Local, exec.Parallelism(w.Cores))
	defer session.Shutdown()
	cpu, began := used(), time.Now()
	if _, err := session.Run(context.Background(), wordCount, files, w.Output); err != nil {
		return err
	}
	m := measure{Seconds: time.Since(began).Seconds(), CPUSeconds: (used() - cpu).Seconds(), PeakBytes: usage().Maxrss << 10}
	return json.NewEncoder(os.Stdout).Encode(m)
}

func usage() (u syscall.Rusage) {
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u
}

// used returns the processor time of this process.
func used() time.Duration {
	u := usage()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
