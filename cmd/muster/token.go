package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "token", Short: "make, list and revoke the tokens that let programs and people in", Args: args(0, 0), RunE: help,
		Long: `Token is about what is shown to the HTTP API: a token says what its holder may
do, by namespace. There are four roles, each of which may what those before it
may: viewer reads; operator runs, cancels, retries, pauses and resumes what is
declared; developer declares and submits; admin limits namespaces, makes tokens
and reads the audit.

  muster token bootstrap --join 127.0.0.1:7946
  muster token create ci --role reports=developer --expires 90d`,
	}
	c.AddCommand(tokenBootstrapCommand(), tokenCreateCommand(), tokenListCommand(), tokenRevokeCommand())
	return c
}

func tokenBootstrapCommand() *cobra.Command {
	var l listing
	return l.addStream(visit(&cobra.Command{
		Use: "bootstrap", Short: "make the first token of a cluster, which may everything", Args: args(0, 0),
		Long: `Bootstrap makes a token that may everything and prints it, once in the life of a
cluster: asked for again it fails, so whoever sets a cluster up may run it blindly,
and nobody else had it before. It is printed by whoever asks for it and nowhere
else: an agent that printed it when it starts would leave it in its log.`,
		Example: "  muster token bootstrap --join 127.0.0.1:7946",
	}, func(ctx context.Context, n *node.Node, _ []string) error {
		made, text, err := n.BootstrapToken(ctx)
		if err != nil {
			return err
		}
		return l.secret(&api.MadeToken{Token: made, Text: text})
	}))
}

func tokenCreateCommand() *cobra.Command {
	var l listing
	var roles []string
	var expires string
	c := ask(&cobra.Command{
		Use: "create NAME --role NAMESPACE=ROLE", Short: "make a token, and print it this once", Args: args(1, 1),
		Example: `  muster token create ci --role reports=developer --role billing=viewer
  muster token create watch --role '*=viewer' --expires 90d`,
	}, func(ctx context.Context, to *asked, a []string) (err error) {
		t := api.NewToken{Name: a[0]}
		if t.Roles, err = parseRoles(roles); err != nil {
			return err
		}
		if t.Expires, err = parseExpiry(expires, time.Now()); err != nil {
			return err
		}
		made, err := to.CreateToken(ctx, t)
		if err != nil {
			return err
		}
		return l.secret(&made)
	})
	c.Flags().StringSliceVar(&roles, "role", nil, "what it may do where, as in reports=viewer, or *=admin for all; repeat for more")
	c.Flags().StringVar(&expires, "expires", "", "how long it is good, as in 90d or 12h (default: until it is revoked)")
	return l.addStream(c)
}

func tokenListCommand() *cobra.Command {
	var l listing
	return l.add(ask(&cobra.Command{Use: "list", Short: "list the tokens, without their secrets", Args: args(0, 0)},
		func(ctx context.Context, to *asked, _ []string) error {
			all, err := to.ListTokens(ctx)
			if err != nil {
				return err
			}
			return l.show(all, "ID\tNAME\tROLES\tCREATED\tBY\tEXPIRES", func(put func(...any)) {
				for i := range all.Tokens {
					t := &all.Tokens[i]
					put(t.ID, t.Name, rolesText(t.Roles), t.Created.Format(time.RFC3339), t.By, expiryText(t.Expires, time.Now()))
				}
			})
		}))
}

func tokenRevokeCommand() *cobra.Command {
	return ask(&cobra.Command{
		Use: "revoke ID", Short: "make a token good for nothing", Args: args(1, 1),
		Long: `Revoke takes the ID, as list shows it. Servers refuse the token as soon as they
have heard of it, which takes milliseconds, other nodes within five seconds.`,
		Example: "  muster token revoke k5rtmzq2vn4h7xwd",
	}, func(ctx context.Context, to *asked, a []string) error { return to.RevokeToken(ctx, a[0]) })
}

// secret shows a new token. Its text alone is the output, for scripts; what it
// is goes to people.
func (l *listing) secret(made *api.MadeToken) error {
	if l.output != formTable {
		return l.value(made)
	}
	t := &made.Token
	fmt.Fprintf(l.told, "Token %s, %s: %s. This is the only time that it is shown:\n", t.ID, t.Name, rolesText(t.Roles))
	_, err := fmt.Fprintln(l.out, made.Text)
	return err
}

func parseRoles(texts []string) (map[string]job.Role, error) {
	roles := map[string]job.Role{}
	for _, text := range texts {
		namespace, role, ok := strings.Cut(text, "=")
		if !ok || namespace == "" || !slices.Contains(job.Roles, job.Role(role)) {
			return nil, fmt.Errorf("--role %q: want a namespace, or * for all, and viewer, operator, developer or admin, as in reports=viewer: %w", text, errUsage)
		}
		roles[namespace] = job.Role(role)
	}
	if len(roles) == 0 {
		return nil, fmt.Errorf("--role is missing: say what the token may do where, as in reports=viewer: %w", errUsage)
	}
	return roles, nil
}

// parseExpiry returns the time that is so long after now. A duration may be in
// days.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	d, err := parseAge(text)
	if err != nil || d <= 0 {
		return time.Time{}, fmt.Errorf("--expires %q: want how long it is good, as in 90d or 12h: %w", text, errUsage)
	}
	return now.Add(d), nil
}

func rolesText(roles map[string]job.Role) string {
	all := make([]string, 0, len(roles))
	for _, namespace := range slices.Sorted(maps.Keys(roles)) {
		all = append(all, namespace+"="+string(roles[namespace]))
	}
	return strings.Join(all, " ")
}

func expiryText(at, now time.Time) string {
	switch {
	case at.IsZero():
		return "never"
	case !at.After(now):
		return "expired"
	}
	return at.Format(time.RFC3339)
}
