package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/membership"
	"github.com/musterhq/muster/pkg/node"
)

// The healths of what the doctor looks at.
const (
	healthy = "ok"
	warning = "warning" // it works, and will not for ever, or not as well as it could
	failed  = "failed"
	skipped = "skipped" // it was not said where to look
)

// finding is what the doctor found.
type finding struct {
	Check  string `json:"check"`
	Health string `json:"health"`
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"`
}

// findings is what the doctor found, in the order in which it looked.
type findings []finding

func (f *findings) add(check, health, remedy, found string, args ...any) {
	if health == healthy || health == skipped {
		remedy = ""
	}
	*f = append(*f, finding{check, health, fmt.Sprintf(found, args...), remedy})
}

// sick returns an error if a check has failed.
func (f findings) sick() error {
	n := 0
	for _, x := range f {
		if x.Health == failed {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed", n, len(f))
}

// doctorTimeout bounds what the doctor waits for a cluster to answer.
const doctorTimeout = 15 * time.Second

func doctorCommand() *cobra.Command {
	var flags nodeFlags
	var l listing
	var dir string
	c := &cobra.Command{
		Use: "doctor", Short: "check what a node needs, and how a cluster is", Args: args(0, 0), Annotations: map[string]string{settingsKey: "all"},
		Long: `Doctor looks at this machine as an agent with the same flags would find it: the
data directory in --dir, certificates and keys in --tls, limits and addresses. With
--join it looks at the cluster too: whether it has a leader, the versions and
clocks of its members, whether they are reached where they say, and their disks.

It changes nothing, tells what to do about what it finds, and exits with 1 if a
check has failed; a warning is no failure.`,
		Example: `  muster doctor --dir ./a --tls ./a-secrets --gossip 10.0.0.1:7946 --rpc 10.0.0.1:7947
  muster doctor --join 127.0.0.1:7946 -o json`,
		RunE: func(c *cobra.Command, _ []string) error {
			var found findings
			cfg, err := flags.config()
			if err != nil {
				found.add("configuration", failed, "correct the flags or the files that they name", "%v", err)
			} else {
				found.add("configuration", healthy, "", "the flags make sense")
			}
			found.machine(dir)
			found.trusted(flags.tls, time.Now())
			switch {
			case len(flags.cfg.Join) == 0:
				found.add("pool", skipped, "", "give --join to look at a cluster")
			case err == nil:
				found.pool(c.Context(), cfg)
			}
			if err := l.show(found, "CHECK\tHEALTH\tFOUND", func(put func(...any)) {
				for _, f := range found {
					put(f.Check, f.Health, f.Found)
					if f.Remedy != "" {
						put("", "", "  remedy: "+f.Remedy)
					}
				}
			}); err != nil {
				return err
			}
			return found.sick()
		},
	}
	flags.add(c)
	_ = c.Flags().Set("log", "error")
	c.Flags().StringVar(&dir, "dir", "", "data directory of the node")
	return l.add(c)
}

// pool looks at a cluster as one that joins it.
func (f *findings) pool(ctx context.Context, cfg node.Config) {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	cfg.Client, cfg.Name = true, cmp.Or(cfg.Name, visitor())
	cfg.Gossip, cfg.RPC = freePort(cfg.Gossip), freePort(cfg.RPC)
	n, err := node.Start(ctx, cfg)
	if err != nil {
		f.add("pool", failed, "check that an agent runs at an address of --join, that its ports are open, UDP too, and that --tls and --cluster are its own", "%v", err)
		return
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = n.Stop(ctx) // it holds nothing
	}()
	var all []node.About
	for _, m := range n.Nodes() {
		if !isClient(m.Member) {
			all = append(all, m)
		}
	}
	f.add("pool", healthy, "", "%d nodes", len(all))
	c, err := n.Cluster(ctx)
	f.quorum(&c, err)
	f.servers(all)
	f.versions(all)
	f.clocks(all)
	f.reached(ctx, all)
	f.disks(all)
}

// freePort returns an address with the same host and any port: an agent may have
// that which it was.
func freePort(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return net.JoinHostPort(host, "0")
}

// isClient reports whether a member only submits.
func isClient(m membership.Member) bool { return len(m.Roles) == 0 }
