package trigger

import (
	"errors"
	"fmt"
	"time"
)

// Workflow starts a graph of jobs, when any other trigger is due: mode 11.
type Workflow struct {
	name string
	on   Trigger
}

// Name is the name of the workflow.
func (w Workflow) Name() string { return w.name }

// On is the trigger that starts it.
func (w Workflow) On() Trigger { return w.on }

// Mode returns ModeWorkflow.
func (Workflow) Mode() Mode { return ModeWorkflow }

// Next returns the first fire strictly after the given instant of the trigger
// that starts it.
func (w Workflow) Next(after time.Time) (Fire, bool) {
	if w.on == nil {
		return Fire{}, false
	}
	return w.on.Next(after)
}

// String is as in "workflow nightly on 30 2 * * *".
func (w Workflow) String() string {
	if w.on == nil {
		return "workflow " + w.name
	}
	return "workflow " + w.name + " on " + w.on.String()
}

// Validate returns what can't be.
func (w Workflow) Validate() error {
	if err := validName("workflow", w.name); err != nil {
		return err
	}
	if w.on == nil || w.on.Mode() == ModeWorkflow {
		return errors.New("trigger: workflow: want a trigger of another mode behind on")
	}
	return w.on.Validate()
}

func parseWorkflow(text string, local Local) (Trigger, error) {
	name, rest := cutWord(text)
	on, text := cutWord(rest)
	if on != "on" {
		return nil, fmt.Errorf(`trigger: workflow %s: want the trigger that starts it, as in "workflow nightly on 30 2 * * *"`, name)
	}
	if head, _ := cutWord(text); head == "workflow" { // before it nests any deeper
		return nil, errors.New("trigger: workflow: want a trigger of another mode behind on")
	}
	inner, err := Parse(local.String() + text)
	if err != nil {
		return nil, err
	}
	w := Workflow{name, inner}
	return w, w.Validate()
}
