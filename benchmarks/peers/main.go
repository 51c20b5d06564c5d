// Command peers measures muster beside what one would otherwise pick, on the
// same work, and believes no figure whose output it has not checked.
//
// Each side does each piece of work in a process of its own, on the same
// processors, and one after the other: A, B, C, and again A, B, C. Servers are
// started for it on loopback, in a temporary directory, and stopped after. It
// writes what it finds as text, JSON and a page of HTML. It needs Linux, and
// leaves out, with a word about it, what the machine has not.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/musterhq/muster/benchmarks/peers/report"
	"github.com/musterhq/muster/benchmarks/peers/side"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// doing is the first argument of the processes that do the work.
const doing = "do-one"

func command(ctx context.Context, args []string, in io.Reader, out, progress io.Writer) error {
	if len(args) > 0 && args[0] == doing {
		return do(ctx, in, out)
	}
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	if o.from != "" {
		return render(o)
	}
	return measureAll(ctx, o, out, progress)
}

// do does one piece of work, and is the whole life of its process.
func do(ctx context.Context, in io.Reader, out io.Writer) error {
	var w side.Work
	if err := json.NewDecoder(in).Decode(&w); err != nil {
		return fmt.Errorf("peers: work: %w", err)
	}
	m, err := side.Do(ctx, w)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(m)
}

// render writes again what was measured before.
func render(o options) error {
	text, err := os.ReadFile(o.from)
	if err != nil {
		return err
	}
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("peers: -from %s: %w", o.from, err)
	}
	return save(&r, o.out)
}
