//go:build unix

// Command chaos breaks a cluster of real processes while it works, and checks
// that nothing of what was accepted is lost or counted twice.
//
// It starts servers and workers, each on a host of its own where the system
// has namespaces, submits runs whose outcomes are known, and kills, pauses,
// cuts off, fills up and restarts nodes meanwhile, in an order that the seed
// decides. Then it undoes all that, waits for the runs, and judges; see
// package verdict. It ends with a table and one line of JSON, and fails
// unless every promise was kept. A -scenario tells one story instead of all
// at once.
//
// Processes, disks and networks are gone when it is, however it ends. If a
// promise was broken, data, logs and ledgers are kept, and it says where.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster/benchmarks/chaos/host"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// options is what the command line asks for.
type options struct {
	duration, settle time.Duration
	seed             uint64
	servers, workers int
	slots            int
	fence            time.Duration
	scenario         string
	tasks            int
	faults           []string
	dir              string
	keep             bool
	log              string
	shared           bool
}

func run(args []string) int {
	if len(args) > 0 && args[0] == "agent" {
		return agent(args[1:])
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v\n", err)
		return 2
	}
	if !o.shared {
		code, over, err := host.Isolate()
		if over {
			return code
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "chaos: no cuts and no full disks, for all hosts are this computer: %v\n", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := tell(ctx, o); {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "chaos: interrupted")
		return 130
	default:
		fmt.Fprintf(os.Stderr, "chaos: %v\n", err)
		return 1
	}
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.DurationVar(&o.duration, "duration", 45*time.Second, "how long to break things")
	f.DurationVar(&o.settle, "settle", time.Minute, "how long runs may take to end when nothing is broken any more")
	f.Uint64Var(&o.seed, "seed", 0, "decides what is submitted and broken, in which order (default: by chance)")
	f.IntVar(&o.servers, "servers", 3, "nodes that hold the state: 1, 3 or 5")
	f.IntVar(&o.workers, "workers", 2, "nodes that only work")
	f.IntVar(&o.slots, "slots", 4, "attempts at a time on each node")
	f.DurationVar(&o.fence, "fence", 4*time.Second, "how long a node that is cut off goes on with its attempts")
	f.StringVar(&o.scenario, "scenario", "", "tell one `story` instead:"+about())
	f.IntVar(&o.tasks, "tasks", 1_000_000, "tasks of the run in the scenarios million and blackout")
	f.Func("faults", "comma-separated kinds to break nothing but: "+strings.Join(kinds(), ", "), func(list string) error {
		o.faults = strings.Split(list, ",")
		for _, kind := range o.faults {
			if !slices.Contains(kinds(), kind) {
				return fmt.Errorf("%q is none of them", kind)
			}
		}
		return nil
	})
	f.StringVar(&o.dir, "dir", "", "where to keep data, logs and ledgers (default: the system's temporary directory)")
	f.BoolVar(&o.keep, "keep", false, "keep them if all went well, too")
	f.StringVar(&o.log, "log", "info", "least level of the agents' log lines: debug, info, warn or error")
	f.BoolVar(&o.shared, "shared", false, "use no namespaces: all hosts are this computer")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q: want flags only", f.Args())
	case o.duration <= 0 || o.settle <= 0 || o.fence <= 0:
		return o, fmt.Errorf("-duration %v -settle %v -fence %v: want all positive", o.duration, o.settle, o.fence)
	case !slices.Contains([]int{1, 3, 5}, o.servers):
		return o, fmt.Errorf("-servers %d: want 1, 3 or 5", o.servers)
	case o.workers < 0 || o.servers+o.workers < 2:
		return o, fmt.Errorf("-workers %d: want two nodes or more in all", o.workers)
	case o.scenario != "" && scenarios[o.scenario] == nil:
		return o, fmt.Errorf("-scenario %q: want one of %s", o.scenario, strings.Join(scenarioNames(), ", "))
	}
	for o.seed == 0 {
		o.seed = rand.Uint64() >> 32
	}
	return o, nil
}
