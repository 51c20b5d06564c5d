package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/node"
)

func jobCommand() *cobra.Command {
	c := &cobra.Command{Use: "job", Short: "pause and resume jobs", Args: args(0, 0), RunE: help}
	c.AddCommand(jobPauseCommand(), jobResumeCommand())
	return c
}

// splitJob returns the namespace and the name of a job written as one.
func splitJob(s string) (namespace, name string) {
	if namespace, name, ok := strings.Cut(s, "/"); ok {
		return namespace, name
	}
	return "", s
}

func jobPauseCommand() *cobra.Command {
	var reason string
	c := visit(&cobra.Command{Use: "pause [NAMESPACE/]JOB", Short: "let no more runs of a job begin", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			return n.PauseJob(ctx, namespace, name, reason)
		})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look at the job later")
	return c
}

func jobResumeCommand() *cobra.Command {
	return visit(&cobra.Command{Use: "resume [NAMESPACE/]JOB", Short: "let runs of a job begin again", Args: args(1, 1)},
		func(ctx context.Context, n *node.Node, a []string) error {
			namespace, name := splitJob(a[0])
			return n.ResumeJob(ctx, namespace, name)
		})
}
