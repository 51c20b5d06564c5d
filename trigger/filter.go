package trigger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
)

// Bounds of expressions: of their text, their nodes, and what a run of one may
// allocate, in elements.
const (
	maxFilter       = 2048
	maxFilterNodes  = 200
	maxFilterMemory = 10_000
)

// Filter is an expression on an event, in the language of expr-lang/expr: its
// variables are name, id and data. It is compiled once, has no loops inside of
// loops, no clock, no chance, and a bounded memory.
type Filter struct {
	text    string
	program *vm.Program
}

// Arrival is an event that has arrived.
type Arrival struct {
	// ID is the event's own, unique among those of its name.
	ID string
	// Seq is its place among those that arrived.
	Seq uint64
	// Name is which event it is.
	Name string
	// Data is what it says, as from JSON.
	Data map[string]any
}

// safe are the functions an expression may call beside those that take a
// predicate.
var safe = []string{"len", "lower", "upper", "trim", "trimPrefix", "trimSuffix", "indexOf", "hasPrefix", "hasSuffix", "int", "float", "string", "abs", "ceil", "floor", "round"}

// CompileFilter reads an expression whose value is true or false.
func CompileFilter(text string) (Filter, error) { return compileFilter(text, expr.AsBool()) }

// CompileKey reads an expression whose value, as text, is a key.
func CompileKey(text string) (Filter, error) { return compileFilter(text, expr.AsAny()) }

func compileFilter(text string, kind expr.Option) (f Filter, err error) {
	if strings.TrimSpace(text) == "" || len(text) > maxFilter {
		return f, fmt.Errorf("trigger: expression of %d bytes: want 1 to %d", len(text), maxFilter)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("trigger: expression %q: %v", text, r)
		}
	}()
	loops := &loopCounter{}
	options := []expr.Option{
		expr.Env(variables(Arrival{})), expr.MaxNodes(maxFilterNodes), expr.DisableAllBuiltins(), expr.Patch(loops), kind,
	}
	for _, name := range safe {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(text, options...)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return f, fmt.Errorf("trigger: expression %q: %s: want one on name, id and data, as in data.amount > 100", text, first)
	}
	if loops.n > 1 {
		return f, fmt.Errorf("trigger: expression %q: %d loops: want at most one, as in any(data.tags, # == 'eu')", text, loops.n)
	}
	return Filter{text, program}, nil
}

// loopCounter counts the parts of an expression that are done for each element
// of a list.
type loopCounter struct{ n int }

// Visit sees every node of an expression.
func (l *loopCounter) Visit(node *ast.Node) {
	if _, ok := (*node).(*ast.PredicateNode); ok {
		l.n++
	}
}

func variables(a Arrival) map[string]any {
	return map[string]any{"name": a.Name, "id": a.ID, "data": a.Data}
}

// String is the text of the expression.
func (f Filter) String() string { return f.text }

// Match returns whether the expression is true of an event. An expression that
// fails, because the event lacks what it asks for, is an error.
func (f Filter) Match(a Arrival) (bool, error) {
	v, err := f.run(a)
	if err != nil {
		return false, err
	}
	ok, isBool := v.(bool)
	if !isBool {
		return false, fmt.Errorf("trigger: expression %q: got %v, want true or false", f.text, v)
	}
	return ok, nil
}

// Key returns the value of the expression as text.
func (f Filter) Key(a Arrival) (string, error) {
	v, err := f.run(a)
	if err != nil {
		return "", err
	}
	return f.keyOf(v)
}

// Named is Key of an expression that must have a value: where there is none it
// is an error.
func (f Filter) Named(a Arrival) (string, error) {
	v, err := f.run(a)
	if err != nil {
		return "", err
	}
	if v == nil || v == "" {
		return "", fmt.Errorf("trigger: expression %q: it has no value: want one that every run has, as in data.customer ?? 'none'", f.text)
	}
	return f.keyOf(v)
}

func (f Filter) keyOf(v any) (string, error) {
	text := fmt.Sprint(v)
	if len(text) > maxFilter {
		return "", fmt.Errorf("trigger: expression %q: a key of %d bytes: want at most %d", f.text, len(text), maxFilter)
	}
	return text, nil
}

func (f Filter) run(a Arrival) (v any, err error) {
	if f.program == nil {
		return nil, errors.New("trigger: the zero Filter: want one that CompileFilter made")
	}
	machine := vm.VM{MemoryBudget: maxFilterMemory}
	v, err = machine.Run(f.program, variables(a))
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("trigger: expression %q: %s", f.text, first)
	}
	return v, nil
}
