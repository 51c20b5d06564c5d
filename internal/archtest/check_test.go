package archtest

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// A small house with a table of its own, for the rules to be tried on.
var smallRooms = []room{
	{"internal/store", "", "it keeps bytes"},
	{"trigger", "", "when is a question of its own"},
	{"pkg/job", "trigger", "it is words"},
	{"internal/simnet", "", "it is a network"},
	{"internal/worker", "pkg/job", "it executes"},
	{"pkg/node", "*", "it wires"},
	{"pkg/nodetest", "pkg/node", "it builds clusters"},
	{"benchmarks", "pkg/node", "it measures"},
	{"cmd/muster", "*", "it is the program"},
}

var smallDoors = []door{
	{"github.com/hashicorp/raft", "internal/store", "there is one"},
	{"go.opentelemetry.io/otel", "*", "it is free"},
	{"go.opentelemetry.io/otel/sdk", "cmd/muster", "it is the embedder's"},
	{"go.uber.org/goleak", "tests", "it is for tests"},
}

// build is a house of files, given by path and source.
func build(t *testing.T, sources map[string]string) []*file {
	t.Helper()
	root := fstest.MapFS{"go.mod": {Data: []byte("module " + module)}}
	for path, src := range sources {
		root[path] = &fstest.MapFile{Data: []byte(src)}
	}
	files, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// imports is a file that imports the given paths; those that begin with a
// slash are of the house.
func imports(paths ...string) string {
	src := "package p\n"
	for _, p := range paths {
		if p[0] == '/' {
			p = module + p
		}
		src += "import _ \"" + p + "\"\n"
	}
	return src
}

// expect checks that there is one complaint with all of the given words, or
// none if there are no words.
func expect(t *testing.T, complaints []string, words ...string) {
	t.Helper()
	if len(words) == 0 {
		report(t, complaints)
		return
	}
	if len(complaints) != 1 {
		t.Fatalf("got complaints %q, want one with %q", complaints, words)
	}
	for _, w := range words {
		if !strings.Contains(complaints[0], w) {
			t.Errorf("got %q, want it to say %q", complaints[0], w)
		}
	}
}

func TestATurnedArrowIsSeen(t *testing.T) {
	for _, c := range []struct {
		name, path, to string
		complaint      []string
	}{
		{"as in the table", "internal/worker/a.go", "/pkg/job", nil},
		{"all above", "pkg/node/a.go", "/internal/store", nil},
		{"Go's own", "trigger/a.go", "net/http", nil},
		{"turned", "pkg/job/a.go", "/internal/worker", []string{"pkg/job/a.go:2", "only trigger", "it is words", "an interface of its own"}},
		{"to a neighbour", "internal/worker/a.go", "/internal/store", []string{"only pkg/job", "it executes"}},
		{"from one that needs nothing", "trigger/a.go", "/internal/store", []string{"nothing of the house"}},
		{"down from one that may all", "pkg/node/a.go", "/cmd/muster", []string{"only what is above it"}},
		{"hidden by a build tag", "trigger/a_plan9.go", "/pkg/job", []string{"trigger/a_plan9.go:2"}},
		{"from an inner package", "internal/worker/pool/a.go", "/internal/store", []string{"only pkg/job"}},
		{"inside a room", "internal/worker/pool/a.go", "/internal/worker", nil},
		{"past the door of a room", "pkg/node/a.go", "/internal/store/log", []string{"go through its door"}},
		{"into a street", "cmd/muster/a.go", "/benchmarks/workload", nil},
		{"from no room", "internal/attic/a.go", "/pkg/job", []string{"internal/attic is no room", "give it a line"}},
		{"to no room", "pkg/node/a.go", "/internal/attic", []string{"internal/attic is no room"}},
		{"to the root", "pkg/node/a.go", "", []string{". is no room"}},

		{"test of what is above", "internal/worker/a_test.go", "/internal/store", nil},
		{"test on a simulated network", "internal/store/a_test.go", "/internal/simnet", nil},
		{"test on a whole cluster", "pkg/job/a_test.go", "/pkg/nodetest", nil},
		{"test of the package from outside", "internal/worker/a_test.go", "/internal/worker", nil},
		{"test of what is below", "pkg/job/a_test.go", "/internal/worker", []string{"internal/worker stands on pkg/job", "move this one"}},

		{"suite of its own room", "internal/store/storetest/a.go", "/internal/store", nil},
		{"suite in a test", "internal/worker/a_test.go", "/internal/store/storetest", nil},
		{"suite in a product", "pkg/node/a.go", "/internal/store/storetest", []string{"is for tests"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := c.to
			if to == "" {
				to = module
			}
			expect(t, checkArrows(smallRooms, build(t, map[string]string{c.path: imports(to)})), c.complaint...)
		})
	}
}

func TestATableThatPointsDownIsSeen(t *testing.T) {
	expect(t, checkTable(smallRooms))
	for _, c := range []struct {
		name  string
		turn  func(rooms []room)
		words []string
	}{
		{"down", func(r []room) { r[1].needs = "pkg/job" }, []string{"trigger needs pkg/job", "circle"}},
		{"itself", func(r []room) { r[1].needs = "trigger" }, []string{"trigger needs trigger"}},
		{"nowhere", func(r []room) { r[2].needs = "tirgger" }, []string{"needs tirgger"}},
		{"twice", func(r []room) { r[3].dir = "trigger" }, []string{"trigger has two lines"}},
		{"one in the other", func(r []room) { r[3].dir = "trigger/calendar" }, []string{"inside another room"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rooms := slices.Clone(smallRooms)
			c.turn(rooms)
			expect(t, checkTable(rooms), c.words...)
		})
	}
}

func TestALibraryPastItsDoorIsSeen(t *testing.T) {
	for _, c := range []struct {
		name, path, to string
		complaint      []string
	}{
		{"through its door", "internal/store/a.go", "github.com/hashicorp/raft", nil},
		{"of a later version", "internal/store/a.go", "github.com/hashicorp/raft/v2/log", nil},
		{"past it", "pkg/node/a.go", "github.com/hashicorp/raft", []string{"pkg/node/a.go:2", "only internal/store may", "there is one", "ask internal/store"}},
		{"past it in a test", "pkg/node/a_test.go", "github.com/hashicorp/raft", []string{"only internal/store may"}},
		{"free", "trigger/a.go", "go.opentelemetry.io/otel/trace", nil},
		{"the longer path counts", "trigger/a.go", "go.opentelemetry.io/otel/sdk/trace", []string{"only cmd/muster may"}},
		{"another with the same beginning", "internal/store/a.go", "github.com/hashicorp/raftish", []string{"has no door", "arrives alone"}},
		{"test library in a test", "trigger/a_test.go", "go.uber.org/goleak", nil},
		{"test library in a product", "trigger/a.go", "go.uber.org/goleak", []string{"only tests may"}},
		{"without a door", "trigger/a.go", "example.com/left/pad", []string{"example.com/left/pad", "has no door"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, checkDoors(smallDoors, smallRooms, build(t, map[string]string{c.path: imports(c.to)})), c.complaint...)
		})
	}
}

func TestAPackageThatDoesNotSayWhatItIsIsSeen(t *testing.T) {
	const said = "// Package store keeps bytes.\npackage store\n"
	for _, c := range []struct {
		name      string
		sources   map[string]string
		complaint []string
	}{
		{"once", map[string]string{"internal/store/a.go": said, "internal/store/b.go": "package store\n"}, nil},
		{"a program", map[string]string{"cmd/muster/main.go": "// Command muster runs nodes.\npackage main\n"}, nil},
		{"tests do not count", map[string]string{"internal/store/a.go": said, "internal/store/a_test.go": "// Package store_test tries.\npackage store_test\n"}, nil},
		{"never", map[string]string{"internal/store/a.go": "package store\n"}, []string{"internal/store has no package comment"}},
		{"only a build tag", map[string]string{"internal/store/a.go": "//go:build linux\n\npackage store\n"}, []string{"no package comment"}},
		{"not attached", map[string]string{"internal/store/a.go": "// Package store keeps bytes.\n\npackage store\n"}, []string{"no package comment"}},
		{"twice", map[string]string{"internal/store/a.go": said, "internal/store/b.go": said}, []string{"a.go and internal/store/b.go", "once"}},
		{"wrongly", map[string]string{"internal/store/a.go": "// This keeps bytes.\npackage store\n"}, []string{`begins "This keeps bytes."`, `"Package store "`}},
		{"wrongly for a program", map[string]string{"cmd/muster/main.go": "// Package main runs.\npackage main\n"}, []string{`"Command muster "`}},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, checkComments(build(t, c.sources)), c.complaint...) })
	}
}

func TestCodeWithoutARoomIsSeen(t *testing.T) {
	check := func(path, src string) []string {
		return checkNames([]string{"util", "types"}, build(t, map[string]string{path: src}))
	}
	expect(t, check("trigger/a.go", "package trigger"))
	expect(t, check("main.go", "package main"), "main.go", "no Go code at the root")
	expect(t, check("internal/util/a.go", "package util"), `"util" says nothing`)
	expect(t, check("internal/x/a.go", "package types"), `"types" says nothing`)
	expect(t, check("internal/types/a_test.go", "package x_test"), `"types" says nothing`)
}

func TestAnImpurePackageIsSeen(t *testing.T) {
	for _, c := range []struct {
		name, path, src string
		complaint       []string
	}{
		{"a duration", "trigger/a.go", `import "time"; var d time.Duration = time.Second`, nil},
		{"the clock", "trigger/a.go", `import "time"; var now = time.Now()`, []string{"trigger/a.go:2 uses time.Now", "why", "take now as an argument"}},
		{"the clock as a value", "trigger/a.go", `import "time"; var now = time.Now`, []string{"time.Now"}},
		{"the clock by another name", "trigger/a.go", `import t "time"; var now = t.Since`, []string{"uses t.Since"}},
		{"the clock without a name", "trigger/a.go", `import . "time"; var now = Now`, []string{"dot import of time"}},
		{"the clock in a test", "trigger/a_test.go", `import "time"; var now = time.Now()`, nil},
		{"the clock elsewhere", "pkg/node/a.go", `import "time"; var now = time.Now()`, nil},
		{"a timer", "trigger/a.go", `import "time"; var c = time.After`, []string{"time.After", "let the caller wait"}},
		{"chance that was handed over", "trigger/a.go", `import "math/rand/v2"; func f(r *rand.Rand) int { return r.IntN(2) }`, nil},
		{"chance out of the air", "trigger/a.go", `import "math/rand/v2"; var n = rand.IntN(2)`, []string{"rand.IntN", "take a *rand.Rand"}},
		{"chance of the old kind", "trigger/a.go", `import "math/rand"; var n = rand.Intn(2)`, []string{"rand.Intn"}},
		{"secrets", "trigger/a.go", `import "crypto/rand"; var r = rand.Reader`, []string{"rand.Reader"}},
		{"files", "trigger/a.go", `import "os"; var h, _ = os.Hostname()`, []string{"os.Hostname"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := build(t, map[string]string{c.path: "package p\n" + c.src})
			expect(t, checkPurity([]string{"trigger"}, impure, "why", files), c.complaint...)
		})
	}
	files := build(t, map[string]string{"trigger/a.go": "package p\nfunc f() { go f() }", "trigger/a_test.go": "package p\nfunc g() { go g() }"})
	expect(t, checkGoroutines([]string{"trigger"}, files), "trigger/a.go:2", "starts a goroutine")
}

func TestTheStateMayUseTimersButNoClock(t *testing.T) {
	check := func(src string) []string {
		files := build(t, map[string]string{"internal/state/a.go": "package p\n" + src})
		return checkPurity([]string{"internal/state"}, untimely, "why", files)
	}
	expect(t, check(`import "time"; var c = time.NewTimer(time.Second)`))
	expect(t, check(`import "time"; var c = time.Now()`), "time.Now")
	expect(t, check(`import "hash/maphash"; var c = maphash.MakeSeed()`), "maphash.MakeSeed")
}

func TestASleepInATestIsSeen(t *testing.T) {
	check := func(path, src string) []string {
		return checkSleep(build(t, map[string]string{path: "package p\nimport \"time\"\n" + src}))
	}
	expect(t, check("trigger/a_test.go", "func f() { time.Sleep(1) }"), "trigger/a_test.go:3 sleeps", "wait for the event")
	expect(t, check("trigger/a_test.go", "import _ \"testing/synctest\"\nfunc f() { time.Sleep(1) }"))
	expect(t, check("trigger/a_test.go", "var d = time.Second"))
}

func TestReadLeavesOutWhatGoDoes(t *testing.T) {
	files := build(t, map[string]string{
		"trigger/a.go":          "package trigger",
		"trigger/testdata/b.go": "no Go at all",
		"trigger/_c.go":         "no Go at all",
		".git/d.go":             "no Go at all",
		"tools/go.mod":          "module tools",
		"tools/e.go":            "no Go at all",
	})
	if len(files) != 1 || files[0].path != "trigger/a.go" {
		t.Errorf("got %d files, want trigger/a.go alone", len(files))
	}
	if _, err := read(fstest.MapFS{"a.go": {Data: []byte("packag x")}}); err == nil {
		t.Error("a file that does not parse: want an error")
	}
}
