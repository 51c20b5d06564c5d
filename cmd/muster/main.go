// Command muster runs a node of a cluster, shows what a cluster does, and
// measures how fast it does it.
//
// What is data goes to standard output, everything else to standard error.
// What it exits with is in exit.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/node"
)

// errUsage marks what is wrong with the command line.
var errUsage = errors.New("see muster --help")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	code := exitCode(err, interrupted)
	if err != nil && !interrupted {
		fmt.Fprintf(os.Stderr, "muster: %v\n", err)
	}
	os.Exit(code)
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "muster",
		Short: "MapReduce and scheduled jobs on a pool of nodes that find each other",
		Long: `Muster runs nodes of a cluster, and asks a cluster over its HTTP API: --addr or
MUSTER_ADDR says where any of its nodes serves it.

` + exitHelp,
		Version:       node.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,

		PersistentPreRunE: settle,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no command %q: %w", args[0], errUsage)
			}
			return c.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", err, errUsage) })
	agent := agentCommand()
	agent.AddCommand(agentDrainCommand())
	root.AddCommand(agent, devCommand(), demoCommand(), submitCommand(), jobCommand(), runCommand(), operationCommand(), watchCommand(), nodeCommand(), clusterCommand(), processorCommand(),
		namespaceCommand(), eventCommand(), triggerCommand(), tlsCommand(), tokenCommand(), auditCommand(), backupCommand(), restoreCommand(),
		doctorCommand(), configCommand(), readyCommand(), benchCommand(), versionCommand())
	return root
}

// args refuses a number of arguments that makes no sense.
func args(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return fmt.Errorf("%s: got %q: want it as in %q: %w", c.CommandPath(), args, c.UseLine(), errUsage)
		}
		return nil
	}
}
