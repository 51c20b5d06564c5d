package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/trigger"
)

func jobApplyCommand() *cobra.Command {
	var l listing
	var a application
	var paths []string
	var c *cobra.Command
	c = l.add(askIn(&cobra.Command{
		Use: "apply -f FILE|DIR|-", Short: "declare the jobs of files, and say what changed", Args: args(0, 0),
		Long: `Apply declares the jobs of files in YAML or JSON: those that there are not, and those
that are declared otherwise. Each document is a job, or has several under jobs, as
export writes them. All are checked before the first is declared: with an error in
any nothing is. Jobs that no file has stay as they are.

With --dry-run it says what it would change, and when the jobs would be due.

docs/job.schema.json tells an editor which fields there are. A file says so with
  # yaml-language-server: $schema=https://raw.githubusercontent.com/musterhq/muster/main/docs/job.schema.json`,
		Example: `  muster job apply -f nightly.yaml --dry-run
  muster job apply -f jobs/ -n reports
  ssh other muster job export | muster job apply -f -`,
	}, func(ctx context.Context, to *asked, _ []string) (err error) {
		if len(paths) == 0 {
			return fmt.Errorf("-f is missing: name a file or a directory with jobs, or - for standard input: %w", errUsage)
		}
		a.to = to
		for _, path := range paths {
			jobs, err := readJobs(path, c.InOrStdin())
			if err != nil {
				return fmt.Errorf("-f: %w: %w", err, errUsage)
			}
			a.jobs = append(a.jobs, jobs...)
		}
		return a.apply(ctx, &l)
	}))
	c.Flags().StringSliceVarP(&paths, "file", "f", nil, "file with jobs, directory of such, or - for standard input; repeat for more")
	c.Flags().BoolVar(&a.dry, "dry-run", false, "only say what would change")
	return c
}

// application is the declaration of jobs of files.
type application struct {
	to   *asked
	jobs []jobFile
	dry  bool
}

// applied is what becomes of a job.
type applied struct {
	api.ImportedJob
	isNew   bool
	changes []string // what is said otherwise than before, for people
	fires   []trigger.Upcoming
}

func (a *application) apply(ctx context.Context, l *listing) error {
	if err := a.name(); err != nil {
		return err
	}
	batches := a.batches()
	var all []applied
	for _, jobs := range batches {
		some, err := a.plan(ctx, jobs, l.output == formTable)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	if a.dry {
		return a.show(l, all)
	}
	done := 0
	for _, jobs := range batches {
		made, err := a.to.ImportJobs(ctx, jobs[0].spec.Namespace, specsOf(jobs), false)
		if err != nil {
			return located(err, jobs)
		}
		for i, m := range made.Jobs {
			all[done+i].ImportedJob = m
		}
		done += len(jobs)
	}
	return a.show(l, all)
}

// name gives each job its names, and refuses one that is there twice.
func (a *application) name() error {
	seen := map[string]string{}
	for i := range a.jobs {
		j := &a.jobs[i]
		j.spec.Namespace = cmp.Or(j.spec.Namespace, a.to.namespace)
		j.spec.Name = cmp.Or(j.spec.Name, j.spec.Processor)
		name := nameOfJob(&j.spec)
		if before, ok := seen[name]; ok {
			return fmt.Errorf("%s: job %s is in %s too: leave one of them out: %w", j.at, name, before, errUsage)
		}
		seen[name] = j.at
	}
	return nil
}

// maxBatch is how many jobs are declared at a time.
const maxBatch = 1000

// batches puts together what is declared together: jobs of one namespace.
func (a *application) batches() (all [][]jobFile) {
	slices.SortStableFunc(a.jobs, func(x, y jobFile) int { return strings.Compare(x.spec.Namespace, y.spec.Namespace) })
	for i, j := range a.jobs {
		last := len(all) - 1
		if i == 0 || len(all[last]) == maxBatch || all[last][0].spec.Namespace != j.spec.Namespace {
			all, last = append(all, nil), last+1
		}
		all[last] = append(all[last], j)
	}
	return all
}

func specsOf(jobs []jobFile) api.Specs {
	var specs api.Specs
	for _, j := range jobs {
		specs.Jobs = append(specs.Jobs, j.spec)
	}
	return specs
}

// plan says what would become of jobs. For people it says what is said otherwise
// too.
func (a *application) plan(ctx context.Context, jobs []jobFile, people bool) ([]applied, error) {
	namespace := jobs[0].spec.Namespace
	would, err := a.to.ImportJobs(ctx, namespace, specsOf(jobs), true)
	if err != nil {
		return nil, located(err, jobs)
	}
	all := make([]applied, len(jobs))
	for i := range jobs {
		p := &all[i]
		p.ImportedJob, p.isNew = would.Jobs[i], would.Jobs[i].Revision == 0
		if !people || !p.Changed {
			continue
		}
		checked, err := a.to.ValidateJob(ctx, namespace, jobs[i].spec)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", jobs[i].at, err)
		}
		p.fires = checked.Fires
		if p.isNew {
			continue
		}
		was, err := a.to.GetJob(ctx, namespace, p.Name)
		if err != nil {
			return nil, err
		}
		if p.changes, err = changes(&was.Spec, &checked.Spec); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// dueShown is how many fires a dry run shows of a job.
const dueShown = 3

// show shows what became of jobs, and fails if one of them could not be declared.
func (a *application) show(l *listing, all []applied) error {
	value := api.Imported{Jobs: make([]api.ImportedJob, len(all))}
	var errs []error
	for i := range all {
		value.Jobs[i] = all[i].ImportedJob
		if p := all[i].Problem; p != nil {
			errs = append(errs, fmt.Errorf("job %s/%s: %s", all[i].Namespace, all[i].Name, explained(p)))
		}
	}
	err := l.show(value, "JOB\tREVISION\tBECAME", func(put func(...any)) {
		for i := range all {
			p := &all[i]
			put(p.Namespace+"/"+p.Name, p.Revision, a.became(p))
			if l.output != formTable {
				continue
			}
			for _, c := range p.changes {
				put("", "", "  "+c)
			}
			for _, f := range p.fires[:min(len(p.fires), dueShown)] {
				if a.dry {
					put("", "", strings.TrimSpace("  due "+f.Local+"  "+strings.Join(f.Notes, "; ")))
				}
			}
		}
	})
	return errors.Join(append(errs, err)...)
}

// became says what became of a job, or would.
func (a *application) became(p *applied) string {
	what := "changed"
	switch {
	case p.Problem != nil:
		return "refused"
	case !p.Changed:
		return "unchanged"
	case p.isNew:
		what = "new"
	}
	if a.dry {
		return "would be " + what
	}
	return what
}

// importedAt is how a problem says which of several jobs it is about.
var importedAt = regexp.MustCompile(`^body\.jobs\[(\d+)\]\.?`)

// located says of what is wrong with jobs in which files they are.
func located(err error, jobs []jobFile) error {
	var p *api.Problem
	if !errors.As(err, &p) || len(p.Errors) == 0 {
		return err
	}
	where := *p
	where.Errors = slices.Clone(p.Errors)
	for i := range where.Errors {
		f := &where.Errors[i]
		m := importedAt.FindStringSubmatch(f.Location)
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil && n < len(jobs) {
			f.Location = strings.TrimSuffix(jobs[n].at+": "+f.Location[len(m[0]):], ": ")
		}
	}
	return &where
}

// changes says which fields of a job are said otherwise.
func changes(was, is *api.Spec) ([]string, error) {
	from, err := fieldsIn(was)
	if err != nil {
		return nil, err
	}
	to, err := fieldsIn(is)
	if err != nil {
		return nil, err
	}
	names := maps.Clone(from)
	maps.Copy(names, to)
	var all []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if from[name] != to[name] {
			all = append(all, fmt.Sprintf("%s: %s -> %s", name, brief(from[name]), brief(to[name])))
		}
	}
	return all, nil
}

// brief is what a field says, or the beginning of that.
func brief(value string) string {
	const most = 200
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "..."
	}
	return cmp.Or(value, "-")
}

// fieldsIn returns what a spec says, by field. Lists are one value each.
func fieldsIn(s *api.Spec) (map[string]string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	all := map[string]string{}
	flatten(all, "", fields)
	return all, nil
}

func flatten(all map[string]string, path string, fields map[string]json.RawMessage) {
	for name, value := range fields {
		var inner map[string]json.RawMessage
		if json.Unmarshal(value, &inner) == nil && inner != nil {
			flatten(all, path+name+".", inner)
			continue
		}
		all[path+name] = string(value)
	}
}
