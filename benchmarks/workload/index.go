package workload

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/musterhq/muster/benchmarks"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
)

// index is the making of an inverted index: many files, and much output whose
// values must be gathered whole.
type index struct{}

// Name is what it is called.
func (index) Name() string { return "index" }

// About says what it does.
func (index) About() string {
	return "list for each word the documents that have it, out of --bytes (default 32 MiB) of documents of 16 KiB, by --tasks map tasks and into files; items: documents; latency: of the map and reduce attempts"
}

const documentBytes = 16 << 10

// Prepare writes the documents, and notes which words each has.
func (index) Prepare(ctx context.Context, o benchmarks.Options, dir string) (benchmarks.Trial, error) {
	size := cmp.Or(o.Bytes, 32<<20)
	documents := int(max(size/documentBytes, 1))
	text := newText(o, 3)
	t := &indexTrial{dir: dir, documents: documents, want: map[string]posting{}}
	postings := make([]posting, len(text.words))
	seen := make([]int, len(text.words)) // one more than the last document with the word
	var err error
	t.bytes, err = write(ctx, dir, documents, size, func(document int, dst []byte) []byte {
		return text.appendLine(dst, func(word int) {
			if seen[word] <= document {
				seen[word] = document + 1
				postings[word].add(document)
			}
		})
	})
	for i, p := range postings {
		if p.documents > 0 {
			t.want[string(text.words[i])] = p
		}
	}
	t.split = splitBytes(o, t.bytes)
	return t, err
}

// posting is what the list of a word's documents comes to: the list itself
// would need more memory than the text.
type posting struct {
	documents int
	checksum  uint64
}

func (p *posting) add(document int) {
	p.documents++
	p.checksum = (p.checksum + uint64(document) + 1) * 0x9e3779b97f4a7c15 // the order counts, too
}

type indexTrial struct {
	latencies
	dir       string
	documents int
	bytes     int64
	split     int64
	want      map[string]posting
	tries     int
}

// Size returns the number of documents.
func (t *indexTrial) Size() (items, bytes int64) { return int64(t.documents), t.bytes }

// Processors is the one that makes the index.
func (t *indexTrial) Processors() mapreduce.Registry {
	return mapreduce.Registry{"index": watch(mapreduce.Of(inverter{}), &t.latencies)}
}

// Run makes the index, up to the files.
func (t *indexTrial) Run(ctx context.Context, pool []*node.Node) error {
	t.reset()
	t.tries++
	in := job.Files(filepath.Join(t.dir, "in-*"))
	in.SplitBytes = t.split
	r, err := pool[0].Submit(ctx, job.Spec{Processor: "index", Input: in, Output: job.Output{Dir: t.out(), Format: mapreduce.TSV}})
	if err != nil {
		return err
	}
	_, err = r.Wait(ctx)
	return err
}

func (t *indexTrial) out() string { return filepath.Join(t.dir, fmt.Sprintf("out-%d", t.tries)) }

// Check reads the files: each word has to be there once, with its documents in
// their order.
func (t *indexTrial) Check(ctx context.Context) error {
	parts, err := filepath.Glob(filepath.Join(t.out(), "part-*"))
	if err != nil {
		return err
	}
	found := make(map[string]bool, len(t.want))
	for _, part := range parts {
		err := eachLine(ctx, part, func(line []byte) error {
			word, list, _ := bytes.Cut(line, []byte{'\t'})
			if found[string(word)] {
				return fmt.Errorf("the word %q is there twice", word)
			}
			found[string(word)] = true
			var got posting
			for field := range bytes.FieldsSeq(list) {
				document, err := strconv.Atoi(string(field))
				if err != nil {
					return fmt.Errorf("a document of word %q: %w", word, err)
				}
				got.add(document)
			}
			if want := t.want[string(word)]; got != want {
				return fmt.Errorf("word %q has %d documents with checksum %x: want %d with %x", word, got.documents, got.checksum, want.documents, want.checksum)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(part), err)
		}
	}
	if len(found) != len(t.want) {
		return fmt.Errorf("%d different words: want %d", len(found), len(t.want))
	}
	return os.RemoveAll(t.out())
}

// inverter maps a document to its words, and reduces a word's documents to
// their numbers in order, as text.
type inverter struct{}

func (inverter) Map(_ context.Context, f mapreduce.File, emit func(string, int)) error {
	name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f.Path), "in-"), ".txt")
	document, err := strconv.Atoi(name)
	if err != nil {
		return mapreduce.Permanent(fmt.Errorf("index: file %q: %w", f.Path, err))
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(f.Data) {
		fields(line, func(word []byte) {
			if !seen[string(word)] {
				known := string(word)
				seen[known] = true
				emit(known, document)
			}
		})
	}
	return nil
}

func (inverter) Reduce(_ context.Context, _ string, documents iter.Seq[int]) (string, error) {
	var list []byte
	for i, document := range slices.Sorted(documents) {
		if i > 0 {
			list = append(list, ' ')
		}
		list = strconv.AppendInt(list, int64(document), 10)
	}
	return string(list), nil
}
