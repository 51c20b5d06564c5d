package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// paged says how much of a list is wanted.
type paged struct {
	limit  int
	cursor string
}

func (p *paged) add(c *cobra.Command) *cobra.Command {
	c.Flags().IntVar(&p.limit, "limit", 100, "how many at most; 0 is all")
	c.Flags().StringVar(&p.cursor, "cursor", "", "where to go on, as the list before says it")
	return c
}

// pageSize is how much is asked for at a time.
const pageSize = 1000

// gather returns as much as p wants of what comes in pages, and where it goes
// on. A page may have less than is asked for, and even nothing, and not be the
// last.
func gather[T any](p *paged, page func(cursor string, limit int) ([]T, string, error)) (all []T, next string, err error) {
	if p.limit < 0 {
		return nil, "", fmt.Errorf("--limit %d: want a number, or 0 for all: %w", p.limit, errUsage)
	}
	all = []T{}
	for next = p.cursor; ; {
		size := pageSize
		if p.limit > 0 {
			size = min(p.limit-len(all), pageSize)
		}
		var items []T
		if items, next, err = page(next, size); err != nil {
			return nil, "", err
		}
		if all = append(all, items...); next == "" || p.limit > 0 && len(all) >= p.limit {
			return all, next, nil
		}
	}
}

// pagedIn is paged for what belongs to a namespace, or of all that may be looked at.
type pagedIn struct {
	paged
	all bool
}

func (p *pagedIn) add(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVarP(&p.all, "all-namespaces", "A", false, "of all namespaces, up to --limit of each")
	return p.paged.add(c)
}

// gatherIn is gather for the namespace that is asked for, or for each that there is.
func gatherIn[T any](ctx context.Context, to *asked, p *pagedIn, page func(namespace, cursor string, limit int) ([]T, string, error)) (all []T, next string, err error) {
	names := []string{to.namespace}
	if p.all {
		known, err := to.ListNamespaces(ctx)
		if err != nil {
			return nil, "", err
		}
		names = known.Namespaces
	}
	for _, name := range names {
		var some []T
		some, next, err = gather(&p.paged, func(cursor string, limit int) ([]T, string, error) { return page(name, cursor, limit) })
		if err != nil {
			return nil, "", err
		}
		all = append(all, some...)
	}
	return all, next, nil
}

// more tells people that there is more.
func more(w io.Writer, next string) {
	if next != "" {
		fmt.Fprintf(w, "There are more: --cursor %s\n", next)
	}
}
