package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/internal/inyaml"
)

// The forms of what verbs show.
const (
	formTable = "table" // for people
	formJSON  = "json"  // one value
	formYAML  = "yaml"  // the same value
	formName  = "name"  // what each thing is called by other verbs, one a line
)

// listing shows a value as a table for people, or as JSON or YAML for programs.
type listing struct {
	output string
	out    io.Writer
	told   io.Writer // for people, beside it
}

func (l *listing) add(c *cobra.Command) *cobra.Command {
	return l.in(c, formTable, formJSON, formYAML, formName)
}

// addStream is add for verbs that show things which have no names, one by one.
func (l *listing) addStream(c *cobra.Command) *cobra.Command {
	return l.in(c, formTable, formJSON, formYAML)
}

// in lets people choose one of forms, of which the first is what they get else.
func (l *listing) in(c *cobra.Command, forms ...string) *cobra.Command {
	want := strings.Join(forms[:len(forms)-1], ", ") + " or " + forms[len(forms)-1]
	c.Flags().StringVarP(&l.output, "output", "o", forms[0], want)
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		l.out, l.told = c.OutOrStdout(), c.ErrOrStderr()
		if !slices.Contains(forms, l.output) {
			return fmt.Errorf("-o %q: want %s: %w", l.output, want, errUsage)
		}
		return nil
	}
	return c
}

// show shows several things: value is all of them, and rows puts one row for
// each into the table with the given heads. Its first cell is the name of it.
func (l *listing) show(value any, heads string, rows func(put func(cells ...any))) error {
	switch l.output {
	case formTable:
		return l.table(heads, rows)
	case formName:
		var err error
		rows(func(cells ...any) {
			if err == nil {
				_, err = fmt.Fprintln(l.out, cells[0])
			}
		})
		return err
	}
	return l.value(value)
}

// detail shows one thing by its name: rows puts what there is to say of it.
func (l *listing) detail(value any, name string, rows func(put func(cells ...any))) error {
	switch l.output {
	case formTable:
		return l.table(name, rows)
	case formName:
		_, err := fmt.Fprintln(l.out, name)
		return err
	}
	return l.value(value)
}

// table writes rows below heads.
func (l *listing) table(heads string, rows func(put func(cells ...any))) error {
	w := tabwriter.NewWriter(l.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heads)
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	})
	return w.Flush()
}

// value writes a value as JSON on a line, or as a document of YAML, which says
// where it begins: several of them are a stream.
func (l *listing) value(value any) error {
	if l.output == formYAML {
		if _, err := io.WriteString(l.out, "---\n"); err != nil {
			return err
		}
		return inyaml.Write(l.out, value)
	}
	enc := json.NewEncoder(l.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}
