package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// expand returns the files that globs match, by absolute names, with their
// sizes.
func expand(globs []string) (paths []string, sizes []int64, err error) {
	seen := map[string]bool{}
	for _, g := range globs {
		files, err := matches(g)
		if err != nil {
			return nil, nil, fmt.Errorf("node: Input.Globs %.500q: %w", g, err)
		}
		for _, f := range files {
			if !seen[f.path] {
				seen[f.path] = true
				paths, sizes = append(paths, f.path), append(sizes, f.size)
			}
		}
	}
	return paths, sizes, nil
}

type found struct {
	path string
	size int64
}

// matches returns the files that one pattern matches: at least one, or an
// error that says why there is none.
func matches(glob string) (files []found, err error) {
	if !doublestar.ValidatePathPattern(glob) {
		return nil, errors.New("the pattern is not well formed: close every [ and {, and escape what is meant literally with a backslash")
	}
	abs, err := filepath.Abs(glob)
	if err != nil {
		return nil, fmt.Errorf("%w: name it by its absolute path", err)
	}
	// As grep -r does: what is named, or matched by anything but **, is followed
	// if it is a link; a tree is not left by its links, nor walked twice.
	options, tree := []doublestar.GlobOption{doublestar.WithFailOnIOErrors()}, strings.Contains(abs, "**")
	if tree {
		options = append(options, doublestar.WithNoFollow())
	}
	names, err := doublestar.FilepathGlob(abs, options...)
	if tree {
		names = slices.DeleteFunc(names, isLink)
	}
	if err != nil {
		return nil, fmt.Errorf("looked for %s: %w: make what it names readable for every node, or correct the pattern", abs, err)
	}
	if _, err := os.Lstat(abs); len(names) == 0 && err == nil {
		names = []string{abs} // a name that only looks like a pattern, or a link to nothing
	}
	var other string // something that is no file
	for _, name := range slices.Sorted(slices.Values(names)) {
		size, kind, err := readable(name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: make the file readable for every node, or leave it out", err)
		case kind == "":
			files = append(files, found{name, size})
		case other == "" && !tree: // below a ** that is no surprise
			other = fmt.Sprintf("%s is %s", name, kind)
		}
	}
	switch {
	case len(files) > 0:
		return files, nil
	case other != "":
		return nil, fmt.Errorf("no file matches (%s): name files; DIR/** stands for all files under DIR", other)
	}
	return nil, fmt.Errorf("no file matches (looked for %s): correct the pattern; ** stands for any number of directories", abs)
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

// readable returns the size of a file that can be read, or what it is if it is
// no regular file. It opens no other: to open a pipe waits for who writes it.
func readable(path string) (size int64, kind string, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, "", fmt.Errorf("%w (a symbolic link to nothing, or removed just now)", err)
	case err != nil:
		return 0, "", err
	case info.IsDir():
		return 0, "a directory", nil
	case !info.Mode().IsRegular():
		return 0, "no regular file", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	return info.Size(), "", f.Close()
}
