package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// A file is a Go file of the house.
type file struct {
	*ast.File
	fset *token.FileSet
	path string // from the root, with slashes
	dir  string // its package's, "." for the root
	test bool
}

// at writes where n is in f, as compilers do.
func (f *file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(n.Pos()).Line)
}

// read parses all Go files below the root of the module. It leaves out what
// the go tool does: testdata, names that begin with a dot or an underscore,
// and modules of their own.
func read(root fs.FS) ([]*file, error) {
	fset := token.NewFileSet()
	var files []*file
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		hidden := p != "." && (name[0] == '.' || name[0] == '_')
		if d.IsDir() {
			_, other := fs.Stat(root, path.Join(p, "go.mod"))
			if hidden || name == "testdata" || p != "." && other == nil {
				return fs.SkipDir
			}
			return nil
		}
		if hidden || !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(fset, p, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, &file{tree, fset, p, path.Dir(p), strings.HasSuffix(name, "_test.go")})
		return nil
	})
	return files, err
}

// An arrow is one import of one file.
type arrow struct {
	*file
	spec *ast.ImportSpec
	to   string // the path that is imported
}

func (a arrow) String() string { return a.at(a.spec) + " imports " + a.to }

// inner returns the directory of the house that a points to, if it points
// into the house.
func (a arrow) inner() (dir string, ok bool) {
	if a.to == module {
		return ".", true
	}
	return strings.CutPrefix(a.to, module+"/")
}

// library reports whether a points to what is neither ours nor Go's own.
func (a arrow) library() bool {
	if _, ours := a.inner(); ours {
		return false
	}
	first, _, _ := strings.Cut(a.to, "/")
	return strings.Contains(first, ".")
}

// arrowsOf returns all imports of files.
func arrowsOf(files []*file) []arrow {
	var arrows []arrow
	for _, f := range files {
		for _, spec := range f.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser would have refused it
			}
			arrows = append(arrows, arrow{f, spec, to})
		}
	}
	return arrows
}

// below reports whether p is dir or inside it.
func below(p, dir string) bool {
	rest, ok := strings.CutPrefix(p, dir)
	return ok && (rest == "" || rest[0] == '/')
}
