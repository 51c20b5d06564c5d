package archtest

import (
	"fmt"
	"go/ast"
	"iter"
	"path"
	"slices"
	"strings"
)

// A vice is what a room must not use of a package, and what to do instead.
type vice struct {
	pkg       string
	forbidden func(name string) bool
	remedy    string
}

func anything(string) bool { return true }

func among(names ...string) func(string) bool {
	return func(n string) bool { return slices.Contains(names, n) }
}

func notAmong(names ...string) func(string) bool {
	return func(n string) bool { return !slices.Contains(names, n) }
}

// global is all that draws from the source of the package, and not from one
// that was handed over.
var global = notAmong("Rand", "Source", "New", "NewPCG", "PCG", "NewChaCha8", "ChaCha8", "Zipf", "NewZipf")

var (
	clock = vice{"time", among("Now", "Since", "Until"), "take now as an argument"}
	dice  = []vice{
		{"math/rand", global, "take a *rand.Rand as an argument"},
		{"math/rand/v2", global, "take a *rand.Rand as an argument"},
		{"crypto/rand", anything, "take what is drawn as an argument"},
		{"hash/maphash", anything, "use a hash that is the same in every process"},
	}

	impure = slices.Concat([]vice{
		clock,
		{"time", among("Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"), "return when to act, and let the caller wait"},
		{"os", anything, "take what is read as an argument"},
		{"net", anything, "let the caller talk to others"},
		{"net/http", anything, "let the caller talk to others"},
	}, dice)
	untimely = slices.Concat([]vice{clock}, dice)
)

// checkPurity complains of what the product files of the given rooms do and
// must not.
func checkPurity(dirs []string, vices []vice, why string, files []*file) (complaints []string) {
	for _, f := range inside(dirs, files) {
		names, complaint := nicknames(f, vices)
		complaints = append(complaints, complaint...)
		for pkg, sel := range selections(f) {
			for _, v := range vices {
				if v.pkg == names[pkg] && v.forbidden(sel.Sel.Name) {
					complaints = append(complaints, fmt.Sprintf("%s uses %s.%s: %s: %s", f.at(sel), pkg, sel.Sel.Name, why, v.remedy))
				}
			}
		}
	}
	return complaints
}

// selections yields everything of the form x.y in f where x is a name, with
// that name.
func selections(f *file) iter.Seq2[string, *ast.SelectorExpr] {
	return func(yield func(string, *ast.SelectorExpr) bool) {
		for n := range ast.Preorder(f.File) {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				continue
			}
			if x, ok := sel.X.(*ast.Ident); ok && !yield(x.Name, sel) {
				return
			}
		}
	}
}

// nicknames returns the packages of vices that f imports, by what they are
// called there.
func nicknames(f *file, vices []vice) (names map[string]string, complaints []string) {
	names = map[string]string{}
	for _, a := range arrowsOf([]*file{f}) {
		if !slices.ContainsFunc(vices, func(v vice) bool { return v.pkg == a.to }) {
			continue
		}
		name := path.Base(strings.TrimSuffix(a.to, "/v2"))
		if a.spec.Name != nil {
			name = a.spec.Name.Name
		}
		if name == "." {
			complaints = append(complaints, fmt.Sprintf("%s: a dot import of %s hides what is used of it: import it by name", f.at(a.spec), a.to))
		}
		names[name] = a.to
	}
	return names, complaints
}

// inside returns the files of the given rooms that are not for tests.
func inside(dirs []string, files []*file) (product []*file) {
	for _, f := range files {
		in := slices.ContainsFunc(dirs, func(dir string) bool { return below(f.dir, dir) })
		if in && !f.test && !suite(f.dir) {
			product = append(product, f)
		}
	}
	return product
}

// checkGoroutines complains of goroutines that the given rooms start.
func checkGoroutines(dirs []string, files []*file) (complaints []string) {
	for _, f := range inside(dirs, files) {
		for n := range ast.Preorder(f.File) {
			if g, ok := n.(*ast.GoStmt); ok {
				complaints = append(complaints, fmt.Sprintf("%s starts a goroutine: a pure package leaves nothing behind: return what is to be done", f.at(g)))
			}
		}
	}
	return complaints
}
