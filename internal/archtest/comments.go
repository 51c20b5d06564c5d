package archtest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// checkComments complains of packages that do not say, exactly once, what they
// are: "Package sharding says what goes where." for a library, "Command muster
// runs ..." for a program.
func checkComments(files []*file) (complaints []string) {
	said := map[string][]*file{} // by directory
	for _, f := range files {
		if _, ok := said[f.dir]; !ok && !f.test {
			said[f.dir] = nil
		}
		if !f.test && f.Doc.Text() != "" {
			said[f.dir] = append(said[f.dir], f)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(said)) {
		docs := said[dir]
		switch {
		case len(docs) == 0:
			complaints = append(complaints, fmt.Sprintf("%s has no package comment: say in a sentence what it is, "+
				"what it refuses to do, and what holds when things fail", dir))
			continue
		case len(docs) > 1:
			paths := make([]string, len(docs))
			for i, f := range docs {
				paths[i] = f.path
			}
			complaints = append(complaints, fmt.Sprintf("%s has package comments in %s: a package says what it is once", dir, strings.Join(paths, " and ")))
		}
		for _, f := range docs {
			want := "Package " + f.Name.Name + " "
			if f.Name.Name == "main" {
				want = "Command " + path.Base(dir) + " "
			}
			if !strings.HasPrefix(f.Doc.Text(), want) {
				first, _, _ := strings.Cut(f.Doc.Text(), "\n")
				complaints = append(complaints, fmt.Sprintf("%s: the package comment begins %q: begin with %q", f.at(f.Doc), first, want))
			}
		}
	}
	return complaints
}

// checkNames complains of code at the root, and of packages that are named
// after nothing.
func checkNames(empty []string, files []*file) (complaints []string) {
	for _, f := range files {
		if f.dir == "." {
			complaints = append(complaints, fmt.Sprintf("%s: there is no Go code at the root: every package has a word of its own", f.path))
			continue
		}
		name := strings.TrimSuffix(f.Name.Name, "_test")
		for _, n := range []string{name, path.Base(f.dir)} {
			if slices.Contains(empty, n) {
				complaints = append(complaints, fmt.Sprintf("%s: %q says nothing of what is inside: put the code beside its only friend, "+
					"or write its three lines twice", f.path, n))
				break
			}
		}
	}
	return complaints
}
