package scheduler

import (
	"sync"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/trigger"
)

// Keys works out the values of expressions on the input of runs. It may be used
// from many goroutines. The zero value is ready.
type Keys struct {
	mu       sync.Mutex
	compiled map[string]trigger.Filter // guarded by mu
}

// maxCompiled bounds how many expressions are kept ready.
const maxCompiled = 10_000

// Of returns the value of an expression on the input of a run, as text. One
// that fails, or has no value, is an error.
func (k *Keys) Of(expression string, run *job.Run) (string, error) {
	f, err := k.filter(expression)
	if err != nil {
		return "", err
	}
	return f.Named(trigger.Arrival{Data: run.Data()})
}

func (k *Keys) filter(expression string) (trigger.Filter, error) {
	k.mu.Lock()
	f, ok := k.compiled[expression]
	k.mu.Unlock()
	if ok {
		return f, nil
	}
	f, err := trigger.CompileKey(expression)
	if err != nil {
		return f, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.compiled) >= maxCompiled || k.compiled == nil {
		k.compiled = map[string]trigger.Filter{}
	}
	k.compiled[expression] = f
	return f, nil
}
