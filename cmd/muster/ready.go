package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func readyCommand() *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "ready [ADDR]",
		Short: "ask an agent whether it is ready, as a health check does",
		Long: `Ready asks the agent whose --metrics is ADDR, 127.0.0.1:9464 if it is left out,
whether it is up, stays and knows who leads. It exits with 0 if so, and else
with 1 and the reason.`,
		Example: "  muster ready 127.0.0.1:9464",
		Args:    args(0, 1),
		RunE: func(c *cobra.Command, a []string) error {
			addr := "127.0.0.1:9464"
			if len(a) > 0 {
				addr = a[0]
			}
			req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, "http://"+addr+"/readyz", http.NoBody)
			if err != nil {
				return fmt.Errorf("ready: %w: %w", err, errUsage)
			}
			client := http.Client{Timeout: timeout}
			resp, err := client.Do(req)
			if err != nil {
				return fmt.Errorf("ready: %w", err)
			}
			defer resp.Body.Close()
			said, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
			if err != nil {
				return fmt.Errorf("ready: %s: %w", addr, err)
			}
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("ready: %s: %s", addr, strings.TrimSpace(string(said)))
			}
			return nil
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	return c
}
