package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/musterhq/muster/internal/inyaml"
	"github.com/musterhq/muster/pkg/api"
)

// jobFile is a job as a file declares it, and where.
type jobFile struct {
	spec api.Spec
	at   string // the file, and the line on which it begins
}

// readJobs reads the jobs of a file, of the files of a directory in the order of
// their names, or for - of in.
func readJobs(path string, in io.Reader) ([]jobFile, error) {
	if path == "-" {
		return parseJobs("standard input", in)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return readJobFile(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var all []jobFile
	var errs []error
	for _, e := range entries {
		if e.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) {
			continue
		}
		jobs, err := readJobFile(filepath.Join(path, e.Name()))
		all, errs = append(all, jobs...), append(errs, err)
	}
	return all, errors.Join(errs...)
}

func readJobFile(path string) ([]jobFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseJobs(path, f)
}

// parseJobs reads documents of YAML, of which JSON is a part. Each is a job, or
// has several under jobs, as export writes them.
func parseJobs(path string, in io.Reader) (all []jobFile, err error) {
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var errs []error
	for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return all, errors.Join(errs...)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, n := range jobsIn(&doc) {
			j, err := parseJob(path, n)
			all, errs = append(all, j), append(errs, err)
		}
	}
}

// jobsIn returns the jobs of a document. One with nothing but comments has none.
func jobsIn(doc *yaml.Node) []*yaml.Node {
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil
	}
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "jobs" && root.Content[i+1].Kind == yaml.SequenceNode {
			return root.Content[i+1].Content
		}
	}
	return []*yaml.Node{root}
}

func parseJob(path string, n *yaml.Node) (jobFile, error) {
	j := jobFile{at: fmt.Sprintf("%s:%d", path, n.Line)}
	if n.Kind != yaml.MappingNode {
		return j, fmt.Errorf("%s: want a job, as in processor: report", j.at)
	}
	if s := strange(n, reflect.TypeFor[api.Spec](), ""); s != nil {
		return j, fmt.Errorf("%s:%d: %s", path, s.line, s.why)
	}
	var wrong *json.UnmarshalTypeError
	switch err := inyaml.Decode(n, &j.spec); {
	case errors.As(err, &wrong):
		return j, fmt.Errorf("%s: %s: want %s, not %s: %w", j.at, wrong.Field, inJSON(wrong.Type), wrong.Value, errUsage)
	case err != nil:
		return j, fmt.Errorf("%s: %w", j.at, err)
	}
	return j, nil
}

// inJSON is what a type of Go is in JSON.
func inJSON(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "fields"
	}
	return "text"
}

// strangeness is a field that there is not.
type strangeness struct {
	line int
	why  string
}

// strange finds a field that t does not have: a schedule that is misspelled would
// otherwise be none.
func strange(n *yaml.Node, t reflect.Type, path string) *strangeness {
	switch {
	case n.Kind == yaml.AliasNode:
		return nil // it was looked at where its anchor is
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, c := range n.Content {
			if s := strange(c, t.Elem(), path); s != nil {
				return s
			}
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := fieldsOf(t)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			field, ok := fields[key.Value]
			switch {
			case key.Value == "$schema" && path == "" || key.Tag == "!!merge":
			case !ok:
				return &strangeness{key.Line, fmt.Sprintf("%s%s: there is no such field%s", path, key.Value, nearest(key.Value, fields))}
			default:
				if s := strange(n.Content[i+1], field, path+key.Value+"."); s != nil {
					return s
				}
			}
		}
	}
	return nil
}

// fieldsOf returns the types of the fields of t by what they are called in JSON.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			all[name] = f.Type
		}
	}
	return all
}

// nearest guesses which field was meant.
func nearest(name string, fields map[string]reflect.Type) string {
	best, least := "", 3 // so many letters may be wrong
	for other := range fields {
		if d := distance(name, other); d < least || d == least && other < best {
			best, least = other, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": was it to be %q?", best)
}
