package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/client"
	"github.com/musterhq/muster/pkg/job"
)

// asked is a cluster that a verb asks over HTTP, as any other program would: it
// may what its token may, and what it changes is in the record.
type asked struct {
	*client.Client
	addr, token, tokenFile, cacert string
	namespace                      string // of names that have none
}

// defaultAddr is where an agent serves the API unless it is told otherwise.
const defaultAddr = "http://127.0.0.1:8080"

// verb is what a command does with the cluster that it asks.
type verb func(ctx context.Context, to *asked, args []string) error

// ask makes a verb of f, which asks a cluster.
func ask(c *cobra.Command, f verb) *cobra.Command { return new(asked).by(c, f) }

// askIn makes a verb of f, which asks for things that are in a namespace.
func askIn(c *cobra.Command, f verb) *cobra.Command {
	to := &asked{}
	short := "n"
	if c.Flags().ShorthandLookup(short) != nil {
		short = "" // it is how many
	}
	c.Flags().StringVarP(&to.namespace, "namespace", short, "default", "namespace of names that have none")
	settable(c.Flags(), "namespace")
	return to.by(c, f)
}

func (to *asked) by(c *cobra.Command, f verb) *cobra.Command {
	s := c.Flags()
	s.StringVar(&to.addr, "addr", defaultAddr, "where any node of the cluster serves the HTTP API")
	s.StringVar(&to.token, "token", "", "token to show; others on this machine see flags, so rather MUSTER_TOKEN or --token-file")
	s.StringVar(&to.tokenFile, "token-file", "", "file with the token to show")
	s.StringVar(&to.cacert, "cacert", "", "file with the certificates of who is to have signed the node's, where the system does not know it")
	settable(s, "addr", "token", "token-file", "cacert")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := to.open(); err != nil {
			return fmt.Errorf("%w: %w", err, errUsage)
		}
		return to.said(f(c.Context(), to, args))
	}
	return c
}

// open settles how the cluster is asked.
func (to *asked) open() (err error) {
	cfg := client.Config{Token: to.token}
	if to.tokenFile != "" && to.token == "" {
		b, err := os.ReadFile(to.tokenFile)
		if err != nil {
			return fmt.Errorf("--token-file: %w", err)
		}
		cfg.Token = strings.TrimSpace(string(b))
	}
	if to.cacert != "" {
		pem, err := os.ReadFile(to.cacert)
		if err != nil {
			return fmt.Errorf("--cacert: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("--cacert %s: want certificates in PEM", to.cacert)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone() // which it is
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		cfg.HTTP = &http.Client{Transport: transport}
	}
	if to.Client, err = client.New(to.addr, cfg); err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	return nil
}

// said puts an error into the words of the command line.
func (to *asked) said(err error) error {
	var p *api.Problem
	var lost *url.Error
	switch {
	case errors.As(err, &p):
		return &told{strings.Replace(err.Error(), p.Error(), explained(p), 1), err}
	case errors.As(err, &lost) && !errors.Is(err, context.Canceled):
		why := "is there a node that serves the API? --addr says where it is, and so does MUSTER_ADDR"
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) {
			why = "--cacert names the file of who signed its certificate"
		}
		return &told{fmt.Sprintf("%s: %v: %s", to.addr, lost.Err, why), err}
	}
	return err
}

// told is an error in other words.
type told struct {
	text string
	err  error
}

func (t *told) Error() string { return t.text }

// Unwrap returns what it was.
func (t *told) Unwrap() error { return t.err }

// explained is what a problem says, with the fields as people name them.
func explained(p *api.Problem) string {
	text := p.Detail
	if text == "" {
		text = strings.ToLower(p.Title)
	}
	for _, f := range p.Errors {
		at := f.Location
		for _, part := range []string{"body.", "query.", "path."} {
			at = strings.TrimPrefix(at, part)
		}
		switch {
		case f.Message != p.Detail:
			text += fmt.Sprintf("\n  %s: %s", at, f.Message)
		case at != "" && at != "body" && len(p.Errors) == 1:
			text = at + ": " + text
		}
	}
	if p.Status == http.StatusUnauthorized {
		text += "; here --token-file, --token or MUSTER_TOKEN says it"
	}
	return text
}

// job returns the namespace and the name of a job that is written as one, or
// without its namespace.
func (to *asked) job(text string) (namespace, name string) {
	if namespace, name, ok := strings.Cut(text, "/"); ok {
		return namespace, name
	}
	return to.namespace, text
}

// run returns the ID of a run, which may be written without its namespace.
func (to *asked) run(text string) job.RunID {
	if strings.Contains(text, "/") {
		return job.RunID(text)
	}
	return job.RunID(to.namespace + "/" + text)
}

// names returns what nodes are called, by their IDs. Who can't be told keeps its
// ID.
func (to *asked) names(ctx context.Context) func(id string) string {
	by := map[string]string{}
	if all, err := to.ListNodes(ctx); err == nil {
		for _, n := range all.Nodes {
			by[n.ID] = n.Name
		}
	}
	return func(id string) string {
		if name := by[id]; name != "" {
			return name
		}
		return id
	}
}
