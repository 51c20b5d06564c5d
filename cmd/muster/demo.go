package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

func demoCommand() *cobra.Command {
	var d demo
	var level string
	c := &cobra.Command{
		Use:   "demo [DIR]",
		Short: "three nodes find each other and count the words of DIR",
		Long: `Demo starts three nodes in this process, on loopback and with real sockets,
lets them find each other by gossip, and has them count the words of all files
under DIR (default: the source tree of the Go installation) and list the files
that each word is in, unless one has more than 64 MiB. Then it does the same in
one goroutine and compares.

Files whose names end in .gz are read decompressed, and symbolic links are not
followed. A word is a run of ASCII letters, digits and underscores, in lower case. The
counts are those of
  grep -raohE '[A-Za-z0-9_]+' DIR | tr A-Z a-z | sort | uniq -c
under LC_ALL=C.`,
		Args: args(0, 1),
		RunE: func(c *cobra.Command, a []string) error {
			var err error
			if d.top < 0 {
				return fmt.Errorf("--top %d: want a number of words: %w", d.top, errUsage)
			}
			if d.log, err = logger(level); err != nil {
				return err
			}
			if len(a) == 1 {
				d.dir = a[0]
			} else if d.dir, err = goSource(); err != nil {
				return err
			}
			return d.run(c.Context(), c.OutOrStdout())
		},
	}
	c.Flags().IntVar(&d.top, "top", 10, "how many words to print")
	c.Flags().StringVar(&level, "log", "warn", "least level of log lines: debug, info, warn or error")
	return c
}

// goSource is the source tree of the Go installation.
func goSource() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	root := strings.TrimSpace(string(out))
	if err != nil || root == "" {
		return "", fmt.Errorf("the Go installation was not found: name a directory: muster demo DIR: %w", errUsage)
	}
	return filepath.Join(root, "src"), nil
}

// demo is a pool of three nodes and a directory to show it on.
type demo struct {
	dir   string
	top   int
	log   *slog.Logger
	nodes []*node.Node
	bytes int64
	files int
	large string // a file that is too large to be one record
}

func (d *demo) run(ctx context.Context, w io.Writer) (err error) {
	if err := d.find(); err != nil {
		return err
	}
	if err := d.measure(); err != nil {
		return err
	}
	fmt.Fprintf(w, "muster: %s files, %s, under %s\n\n", count(d.files), size(float64(d.bytes)), d.dir)
	defer func() { err = errors.Join(err, d.stop(ctx)) }()
	if err := d.start(ctx, w); err != nil {
		return err
	}
	counts, took, err := d.wordCount(ctx, w)
	if err != nil {
		return err
	}
	d.printTop(w, counts)
	var index map[string]posting
	if d.large == "" {
		if index, err = d.index(ctx, w); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "inverted index: left out, because a file is one record of it and %s has more than %s\n", d.large, size(mapreduce.MaxFile))
	}
	fmt.Fprintf(w, "\nchecking against one goroutine that does the same ... ")
	began := time.Now()
	if err := d.check(counts, index); err != nil {
		fmt.Fprintln(w, "not equal")
		return err
	}
	fmt.Fprintf(w, "\nchecked against a single-threaded count: equal (that took %v, the pool's count %v)\n",
		time.Since(began).Round(10*time.Millisecond), took.Round(10*time.Millisecond))
	fmt.Fprintf(w, "\nNext: README.md has the same in twenty lines of your own, and `muster agent` makes it a cluster.\n")
	return nil
}

// find makes the directory's name the one that every part of the demo reads
// alike: a link is followed if it is what was named, as grep -r does.
func (d *demo) find() error {
	dir, err := filepath.EvalSymlinks(d.dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return fmt.Errorf("demo: %w: name a directory that can be read", err)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return fmt.Errorf("demo: %s is no directory: name the one that it is in", d.dir)
	}
	d.dir = dir
	return nil
}

// measure finds out how much there is to count.
func (d *demo) measure() error {
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("demo: %w: name a directory that can be read", err)
		}
		if !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if err == nil {
			d.files++
			d.bytes += info.Size()
			if info.Size() > mapreduce.MaxFile {
				d.large = path
			}
		}
		return err
	})
	if err == nil && d.files == 0 {
		err = fmt.Errorf("demo: there are no files under %s: name a directory that has some", d.dir)
	}
	return err
}

// all is the pattern of all files under the directory, in whose name nothing
// stands for anything else.
func (d *demo) all() string {
	name := d.dir
	if filepath.Separator != '\\' { // else a backslash can't be an escape
		name = literally.Replace(name)
	}
	return filepath.Join(name, "**")
}

var literally = strings.NewReplacer(`\`, `[\\]`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`)

// start brings up three nodes and waits until each sees all.
func (d *demo) start(ctx context.Context, w io.Writer) error {
	began := time.Now()
	for i, name := range []string{"a", "b", "c"} {
		cfg := node.Config{Name: name, Cluster: "demo", Processors: processors(), Logger: d.log, Slots: max(1, runtime.GOMAXPROCS(0)/2)}
		if i > 0 {
			cfg.Join = []string{d.nodes[0].Gossip()}
		}
		n, err := node.Start(ctx, cfg)
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, n)
		fmt.Fprintf(w, "  node %s  gossip %s  id %s\n", name, n.Gossip(), n.ID())
	}
	for _, n := range d.nodes {
		if err := n.WaitMembers(ctx, len(d.nodes)); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "  %d nodes found each other by gossip in %v\n\n", len(d.nodes), time.Since(began).Round(time.Millisecond))
	return nil
}

func (d *demo) stop(ctx context.Context) error {
	var errs []error
	for _, n := range slices.Backward(d.nodes) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		errs = append(errs, n.Stop(ctx))
		cancel()
	}
	return errors.Join(errs...)
}

// wordCount counts on the pool and shows how the work was shared.
func (d *demo) wordCount(ctx context.Context, w io.Writer) (map[string]int, time.Duration, error) {
	began := time.Now()
	spec := job.Spec{Processor: "wordcount", Input: job.Lines(d.all()), Partitions: 12}
	spec.Input.SplitBytes = min(max(d.bytes/64, 256<<10), 16<<20)
	out, err := d.submit(ctx, w, "word count", spec, &began)
	if err != nil {
		return nil, 0, err
	}
	took := time.Since(began)
	counts, err := mapreduce.Collect[string, int](ctx, out)
	if err != nil {
		return nil, 0, err
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	fmt.Fprintf(w, "\n  %s words, %s different, in %v: %s/s\n", count(total), count(len(counts)),
		took.Round(10*time.Millisecond), size(float64(d.bytes)/took.Seconds()))
	return counts, took, nil
}

// submit runs a job, and prints each node's share of its tasks.
func (d *demo) submit(ctx context.Context, w io.Writer, title string, spec job.Spec, began *time.Time) (mapreduce.Output, error) {
	*began = time.Now()
	r, err := d.nodes[0].Submit(ctx, spec)
	if err != nil {
		return mapreduce.Output{}, err
	}
	name := nameOf(d.nodes[0])
	p := follow(ctx, w, title, r, name)
	out, err := r.Wait(ctx)
	if err != nil {
		return out, err
	}
	fmt.Fprintf(w, "  share of the work:")
	for _, id := range byName(p.Members, name) {
		fmt.Fprintf(w, "  %s %.0f%% (%d tasks)", name(id), 100*float64(p.Members[id])/float64(max(p.Done, 1)), p.Members[id])
	}
	return out, nil
}

func (d *demo) printTop(w io.Writer, counts map[string]int) {
	words := make([]string, 0, len(counts))
	for word := range counts {
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	fmt.Fprintln(w)
	for _, word := range words[:min(d.top, len(words))] {
		fmt.Fprintf(w, "  %12s  %s\n", count(counts[word]), word)
	}
	fmt.Fprintln(w)
}

// index lists the files of each word on the pool.
func (d *demo) index(ctx context.Context, w io.Writer) (map[string]posting, error) {
	var began time.Time
	spec := job.Spec{Processor: "index", Input: job.Files(d.all()), Partitions: 12}
	spec.Input.SplitBytes = min(max(d.bytes/64, 256<<10), 16<<20)
	out, err := d.submit(ctx, w, "inverted index", spec, &began)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	index, err := mapreduce.Collect[string, posting](ctx, out)
	fmt.Fprintf(w, "\n  %s words indexed in %v\n", count(len(index)), took.Round(10*time.Millisecond))
	return index, err
}

// check does the same in one goroutine, with nothing of the pool but the rule
// of what a word is.
func (d *demo) check(counts map[string]int, index map[string]posting) error {
	want, wantIndex := map[string]int{}, map[string]*posting{}
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		seen := map[string]bool{}
		// Read as a run does, so that a .gz is decompressed. No word goes on
		// in the next line.
		s := mapreduce.Split{Ranges: []mapreduce.Range{{Path: path, Length: -1}}}
		for line, err := range s.Lines(context.Background()) {
			if err != nil {
				return err
			}
			for word := range words(line.Text) {
				want[word]++
				if index == nil || seen[word] {
					continue
				}
				seen[word] = true
				p := wantIndex[word]
				if p == nil {
					p = &posting{}
					wantIndex[word] = p
				}
				p.Files++
				p.First = append(p.First, path)
				slices.Sort(p.First)
				p.First = p.First[:min(len(p.First), 3)]
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(counts) != len(want) || len(index) != len(wantIndex) {
		return fmt.Errorf("demo: the pool found %d words and indexed %d, one goroutine %d and %d", len(counts), len(index), len(want), len(wantIndex))
	}
	for word, n := range want {
		if counts[word] != n {
			return fmt.Errorf("demo: the pool counted %q %d times, one goroutine %d times", word, counts[word], n)
		}
	}
	for word, want := range wantIndex {
		got := index[word]
		if got.Files != want.Files || !slices.Equal(got.First, want.First) {
			return fmt.Errorf("demo: the pool has %q in %d files, first %q, one goroutine in %d, first %q", word, got.Files, got.First, want.Files, want.First)
		}
	}
	return nil
}
