package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// many says which of many runs a verb is for, where it is not for one.
type many struct {
	filter           api.Filter
	from, until      string
	yes, dry, detach bool
}

// manyHelp tells people how a verb is for many runs.
const manyHelp = `With several runs, or with flags that say which, that is a bulk operation: it goes on
in the background, and how far it is goes to standard error. To interrupt it does
nothing to it. A filter means the runs that it finds, up to now; how many those are is
shown first, and asked unless --yes says so.`

func (m *many) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&m.filter.Job, "job", "", "the runs of this job")
	f.StringSliceVar(&m.filter.States, "state", nil, "the runs in one of these states")
	f.StringVar(&m.filter.Key, "key", "", "the runs that the caller named so, by --unique")
	f.StringVar(&m.from, "from", "", "the runs created from then on: an instant, or how long ago, as in 24h or 7d")
	f.StringVar(&m.until, "until", "", "the runs created before then: an instant, or how long ago")
	f.BoolVarP(&m.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&m.dry, "dry-run", false, "only count the runs that are meant")
	f.BoolVar(&m.detach, "detach", false, "begin, print the operation, and do not wait for it")
}

// isAsked reports whether a verb with these arguments is for many runs.
func (m *many) isAsked(args []string) bool {
	return len(args) > 1 || m.isFilter() || m.dry || m.detach
}

func (m *many) isFilter() bool {
	return m.filter.Job != "" || len(m.filter.States) > 0 || m.filter.Key != "" || m.from != "" || m.until != ""
}

// bulk returns what is asked for.
func (m *many) bulk(to *asked, verb job.Verb, args []string, reason string) (b api.Bulk, err error) {
	b = api.Bulk{Verb: verb, Filter: m.filter, Reason: reason}
	for _, text := range args {
		b.Runs = append(b.Runs, string(to.run(text)))
	}
	now := time.Now()
	if b.From, err = moment("--from", m.from, now); err != nil {
		return b, err
	}
	if b.Until, err = moment("--until", m.until, now); err != nil {
		return b, err
	}
	if len(args) == 0 && !m.isFilter() {
		return b, fmt.Errorf("name the runs to %s, or say which with --job, --state, --key, --from or --until: %w", verb, errUsage)
	}
	if len(args) > 0 && m.isFilter() {
		return b, fmt.Errorf("name the runs to %s, or say which with flags, not both: %w", verb, errUsage)
	}
	return b, nil
}

// carryOut does to many runs what a verb says, and shows how that goes.
func (m *many) carryOut(ctx context.Context, c *cobra.Command, to *asked, l *listing, b *api.Bulk) error {
	namespace := to.namespace
	if len(b.Runs) > 0 {
		namespace = job.RunID(b.Runs[0]).Namespace()
	}
	meant, err := to.PreviewOperation(ctx, namespace, *b)
	if err != nil {
		return err
	}
	if m.dry {
		return l.show(meant, "MEANT", func(put func(...any)) { put(meant.Count) })
	}
	if len(b.Runs) == 0 && !m.yes {
		if err := confirmed(c, fmt.Sprintf("%s %s of namespace %s", b.Verb, plural(meant.Count, "run"), namespace)); err != nil {
			return err
		}
	}
	o, err := to.BeginOperation(ctx, namespace, *b, "")
	if err != nil {
		return err
	}
	if m.detach {
		return l.operations(o, o)
	}
	return followOperation(ctx, c, to, l, &o, meant.Count)
}

// severalJobs makes a verb that does something to a job, or to several, which is a
// bulk operation then.
func severalJobs(c *cobra.Command, verb job.Verb, reason *string, one func(ctx context.Context, to *asked, namespace, name string) error) *cobra.Command {
	c.Args = args(1, job.MaxBulk)
	return askIn(c, func(ctx context.Context, to *asked, a []string) error {
		namespace, name := to.job(a[0])
		if len(a) == 1 {
			return one(ctx, to, namespace, name)
		}
		b := api.Bulk{Verb: verb, Reason: *reason}
		for _, text := range a {
			in, name := to.job(text)
			if in != namespace {
				return fmt.Errorf("%q is not in namespace %s, as the first is: name those of one at a time: %w", text, namespace, errUsage)
			}
			b.Jobs = append(b.Jobs, name)
		}
		o, err := to.BeginOperation(ctx, namespace, b, "")
		if err != nil {
			return err
		}
		return followOperation(ctx, c, to, nil, &o, 0)
	})
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return count(n) + " " + what
}

// confirmed asks people whether to go on. Where nobody can be asked, it is to be
// said beforehand.
func confirmed(c *cobra.Command, what string) error {
	in := c.InOrStdin()
	if f, ok := in.(*os.File); ok && !terminal(f) {
		return fmt.Errorf("this would %s: say so with --yes, or look with --dry-run: %w", what, errUsage)
	}
	fmt.Fprintf(c.ErrOrStderr(), "This will %s. Go on? [y/N] ", what)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done: the answer was not yes; --yes says so where nobody is asked")
}
