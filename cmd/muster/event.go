package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func eventCommand() *cobra.Command {
	c := &cobra.Command{Use: "event", Short: "tell a cluster what has happened", Args: args(0, 0), RunE: help}
	c.AddCommand(eventSendCommand())
	return c
}

func eventSendCommand() *cobra.Command {
	var l listing
	var e job.Event
	var data string
	c := visit(&cobra.Command{
		Use: "send NAME", Short: "send an event, for which jobs may be due", Args: args(1, 1),
		Long: `Send tells the jobs that listen of an event. When it returns, the event is durable.
Sent again with the same --id within an hour it is the same event, so what has
failed may be repeated.`,
		Example: `  muster event send order.paid --id o-1 --data '{"amount": 120}' --join 127.0.0.1:7946
  muster event send file.came --data - --join 127.0.0.1:7946 < about.json`,
	}, func(ctx context.Context, n *node.Node, a []string) error {
		e.Name = a[0]
		b, err := eventData(data, os.Stdin)
		if err != nil {
			return err
		}
		e.Data = b
		sent, err := n.Send(ctx, e)
		if err != nil {
			return err
		}
		value := struct {
			ID    string `json:"id"`
			Jobs  int    `json:"jobs"`
			Known bool   `json:"known"`
		}{sent.ID, sent.Jobs, sent.Known}
		return l.show(value, "ID\tJOBS\tKNOWN", func(row func(cells ...any)) { row(sent.ID, sent.Jobs, sent.Known) })
	})
	s := c.Flags()
	s.StringVar(&e.Namespace, "namespace", "default", "namespace of the jobs that may be due")
	s.StringVar(&e.ID, "id", "", "what tells it from others of that name (default: made up)")
	s.StringVar(&data, "data", "", "what it says, as JSON; - reads it from standard input")
	return l.add(c)
}

// eventData returns what an event says, by its flag.
func eventData(flag string, in io.Reader) (json.RawMessage, error) {
	if flag != "-" {
		return json.RawMessage(flag), nil
	}
	b, err := io.ReadAll(io.LimitReader(in, job.MaxEventData+1))
	if err != nil {
		return nil, fmt.Errorf("--data -: %w", err)
	}
	return b, nil
}
