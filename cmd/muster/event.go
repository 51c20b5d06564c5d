package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

func eventCommand() *cobra.Command {
	c := &cobra.Command{Use: "event", Short: "tell a cluster what has happened", Args: args(0, 0), RunE: help}
	c.AddCommand(eventSendCommand())
	return c
}

func eventSendCommand() *cobra.Command {
	var l listing
	var e api.Event
	var data string
	c := askIn(&cobra.Command{
		Use: "send NAME", Short: "send an event, for which jobs may be due", Args: args(1, 1),
		Long: `Send tells the jobs that listen of an event. When it returns, the event is durable.
Sent again with the same --id within an hour it is the same event, so what has
failed may be repeated.`,
		Example: `  muster event send order.paid --id o-1 --data '{"amount": 120}'
  muster event send file.came --data - < about.json`,
	}, func(ctx context.Context, to *asked, a []string) (err error) {
		e.Name = a[0]
		if e.Data, err = eventData(data, os.Stdin); err != nil {
			return err
		}
		sent, err := to.SendEvent(ctx, to.namespace, e)
		if err != nil {
			return err
		}
		return l.show(sent, "ID\tJOBS\tKNOWN", func(put func(...any)) { put(sent.ID, sent.Jobs, sent.Known) })
	})
	s := c.Flags()
	s.StringVar(&e.ID, "id", "", "what tells it from others of that name (default: made up)")
	s.StringVar(&data, "data", "", "what it says, as JSON; - reads it from standard input")
	return l.add(c)
}

// eventData returns what an event says, by its flag.
func eventData(flag string, in io.Reader) (json.RawMessage, error) {
	b := []byte(flag)
	if flag == "-" {
		var err error
		if b, err = io.ReadAll(io.LimitReader(in, job.MaxEventData+1)); err != nil {
			return nil, fmt.Errorf("--data -: %w", err)
		}
	}
	if len(b) > 0 && !json.Valid(b) {
		return nil, fmt.Errorf("--data %.40q: want JSON, as in '{\"amount\": 120}': %w", b, errUsage)
	}
	return b, nil
}
