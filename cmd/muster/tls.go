package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/internal/certs"
	"github.com/musterhq/muster/pkg/node"
)

// fileKeys is the file with the keys of gossip, in the directory of an
// authority and in that of a node: one on a line, in hex. The first encrypts,
// all decrypt.
const fileKeys = "gossip.keys"

func tlsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "tls",
		Short: "make the certificates and keys that keep strangers out of a cluster",
		Long: `Tls makes what nodes beyond one machine need. Init makes the authority of a
cluster in a directory that stays with you, and issue what a node needs in
another, which you copy there:

  muster tls init ./authority
  muster tls issue ./authority a --out ./a-secrets
  muster agent --tls ./a-secrets --gossip 10.0.0.1:7946 --rpc 10.0.0.1:7947

The other verbs that join a cluster take --tls as well.`,
		Args: args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(tlsInit(), tlsIssue(), tlsRotate(), tlsShow())
	return c
}

func tlsInit() *cobra.Command {
	var cluster string
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "make the authority of a cluster, and a key for its gossip",
		Args:  args(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := args[0]
			if _, err := certs.NewAuthority(dir, cluster); err != nil {
				return err
			}
			key, err := newKey()
			if err != nil {
				return err
			}
			if err := writeKeys(dir, []string{key}); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "The authority is in %s. Whoever has %s lets others in: keep it off the nodes.\nNext: muster tls issue %s NAME --out DIR\n", dir, certs.FileKey, dir)
			return nil
		},
	}
	c.Flags().StringVar(&cluster, "cluster", "muster", "name of the cluster, for people")
	return c
}

func tlsIssue() *cobra.Command {
	var out string
	var hosts []string
	var days int
	c := &cobra.Command{
		Use:   "issue DIR NAME --out DIR",
		Short: "write what a node needs to be one of the cluster whose authority is in DIR",
		Long: `Issue writes a certificate for a node, with its key, the authority's certificate
and the keys of gossip. Issue it again before it ends, or to have the new keys
of gossip: a node takes a new certificate without a restart.`,
		Args: args(2, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case out == "":
				return fmt.Errorf("--out is missing: name the directory for what the node needs: %w", errUsage)
			case days < 1:
				return fmt.Errorf("--days %d: want at least 1: %w", days, errUsage)
			}
			a, err := certs.OpenAuthority(args[0])
			if err != nil {
				return err
			}
			keys, err := readKeys(args[0])
			if err != nil {
				return err
			}
			if err := a.Issue(out, args[1], hosts, time.Duration(days)*24*time.Hour); err != nil {
				return err
			}
			if err := writeKeys(out, keys); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "%s has what the node needs. Copy it there, and add --tls DIR to its muster agent.\n", out)
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "directory for what the node needs")
	c.Flags().StringSliceVar(&hosts, "host", nil, "name or address by which people reach the node; repeat for more")
	c.Flags().IntVar(&days, "days", 365, "how long the certificate is good for")
	return c
}

func tlsRotate() *cobra.Command {
	var drop bool
	c := &cobra.Command{
		Use:   "rotate DIR",
		Short: "replace the key of gossip, in steps that keep the nodes together",
		Long: `Rotate changes the keys in DIR, of which all decrypt and the first encrypts. A key
is replaced in three steps, after each of which every node gets the file
gossip.keys and is restarted, one after the other:

  muster tls rotate DIR          a new key is added; the old one goes on to encrypt
  muster tls rotate DIR          the new one encrypts; the old one still decrypts
  muster tls rotate DIR --drop   the old one is gone`,
		Args: args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			keys, err := readKeys(args[0])
			if err != nil {
				return err
			}
			keys, what, err := rotate(keys, drop)
			if err != nil {
				return err
			}
			if err := writeKeys(args[0], keys); err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, what)
			return nil
		},
	}
	c.Flags().BoolVar(&drop, "drop", false, "remove the keys that only decrypt")
	return c
}

// rotate returns the keys after the next step, and what it was.
func rotate(keys []string, drop bool) (next []string, what string, err error) {
	switch {
	case drop && len(keys) == 1:
		return nil, "", errors.New("there is one key only, and it encrypts: nothing to drop")
	case drop:
		return keys[:1], "The first key is left. Give all nodes the file: then nobody has the others.", nil
	case len(keys) == 1:
		key, err := newKey()
		return append(keys, key), "A key was added, which decrypts. When all nodes have the file, rotate again.", err
	}
	return append([]string{keys[len(keys)-1]}, keys[:len(keys)-1]...), "The last key encrypts now. When all nodes have the file, rotate with --drop.", nil
}

func tlsShow() *cobra.Command {
	var l listing
	return l.add(&cobra.Command{
		Use:   "show DIR",
		Short: "check what a node was given, and show when it ends",
		Args:  args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			id, err := certs.Open(certs.InDir(args[0]))
			if err != nil {
				return err
			}
			keys, err := readKeys(args[0])
			if err != nil {
				return err
			}
			value := struct {
				Until time.Time `json:"until"`
				Keys  int       `json:"gossip_keys"`
			}{id.Until(), len(keys)}
			return l.show(value, "UNTIL\tGOSSIP KEYS", func(row func(cells ...any)) { row(value.Until.Format(time.RFC3339), value.Keys) })
		},
	})
}

func newKey() (string, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}

func writeKeys(dir string, keys []string) error {
	return certs.Replace(filepath.Join(dir, fileKeys), []byte(strings.Join(keys, "\n")+"\n"), 0o600)
}

func readKeys(dir string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, fileKeys))
	if err != nil {
		return nil, err
	}
	keys := strings.Fields(string(b))
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s has no key: want 64 hex digits on a line", filepath.Join(dir, fileKeys))
	}
	return keys, nil
}

// trust puts what is in a directory that tls issue wrote into a node's
// configuration.
func (f *nodeFlags) trust(cfg *node.Config) error {
	if f.tls == "" {
		return nil
	}
	cfg.TLS = node.TLS(certs.InDir(f.tls))
	keys, err := readKeys(f.tls)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--tls: %w", err)
	}
	f.keys = append(f.keys, keys...)
	return nil
}
